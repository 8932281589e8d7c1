//! What an uploader has to send, and the disk space that is reserved for it.

use netboot::api::types::Missing;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::token::UploadBatchId;
use netboot::publish::closure::ClosurePath;
use netboot::publish::space_reservation::{Item, Items};

use super::binary_cache::Cache;
use super::publish;

impl Cache {
    /// How much of these paths the cache lacks. `more` are other items that are to come to its filesystem; `public` is
    /// `name:base64`. Space for everything is reserved for `batch`.
    ///
    /// # Errors
    /// Everything together does not fit beside what is reserved for others.
    pub async fn missing(
        &self,
        members: Vec<ClosurePath>,
        more: Items,
        batch: Option<UploadBatchId>,
        public: String,
    ) -> Result<Missing, Refusal> {
        let cache = self.clone();
        let look = move || {
            let lacks = |member: &ClosurePath| cache.fault(&member.path, &public).is_some();
            let missing_items: Vec<ClosurePath> = members.into_iter().filter(lacks).collect();
            let paths = missing_items.iter();
            let paths = paths.map(|m| {
                (
                    Item::Path(m.path.clone()),
                    publish::estimated_compressed_size(m.size),
                )
            });
            let items = paths.chain(more).collect();
            let promised = cache.room.promise(&cache.dir, batch.as_ref(), items);
            promised.map_err(|no| publish::no_room(&no))?;
            Ok(Missing {
                paths: missing_items.len() as u64,
                bytes: netboot::publish::closure::size(&missing_items),
                parts: Vec::new(),
            })
        };
        let looked = tokio::task::spawn_blocking(look).await;
        looked.map_err(|error| {
            let message = format!("the cache was not looked at: {error}");
            Refusal::new(RefusalCode::Internal, message)
        })?
    }
}
