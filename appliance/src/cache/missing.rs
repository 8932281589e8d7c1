//! What an uploader has to send, and the disk space that is reserved for it.

use netboot::api::types::Lacking;
use netboot::base::refusal::{Code, Refusal};
use netboot::base::token::ShipmentId;
use netboot::publish::closure::Member;
use netboot::publish::space_reservation::{Item, Items};

use super::binary_cache::Cache;
use super::publish;

impl Cache {
    /// How much of these paths the cache lacks. `more` are other items that are to come to its filesystem; `public` is
    /// `name:base64`. Space for everything is reserved for `shipment`.
    ///
    /// # Errors
    /// Everything together does not fit beside what is reserved for others.
    pub async fn missing(
        &self,
        members: Vec<Member>,
        more: Items,
        shipment: Option<ShipmentId>,
        public: String,
    ) -> Result<Lacking, Refusal> {
        let cache = self.clone();
        let look = move || {
            let lacks = |member: &Member| cache.fault(&member.path, &public).is_some();
            let lacking: Vec<Member> = members.into_iter().filter(lacks).collect();
            let paths = lacking.iter();
            let paths = paths.map(|m| (Item::Path(m.path.clone()), publish::packed(m.size)));
            let items = paths.chain(more).collect();
            let promised = cache.room.promise(&cache.dir, shipment.as_ref(), items);
            promised.map_err(|no| publish::no_room(&no))?;
            Ok(Lacking {
                paths: lacking.len() as u64,
                bytes: netboot::publish::closure::size(&lacking),
                parts: Vec::new(),
            })
        };
        let looked = tokio::task::spawn_blocking(look).await;
        looked.map_err(|error| {
            let message = format!("the cache was not looked at: {error}");
            Refusal::new(Code::Internal, message)
        })?
    }
}
