//! Server mode: what the lease rules settle for a request, asking the wire where they want to know it.

use std::sync::Arc;

use netboot::base::refusal::Refusal;
use netboot::dhcp::lease::{Probe, Settled, Site, Standing, settle};
use netboot::dhcp::request::Request;

use super::link::Link;
use crate::app::App;

/// Addresses that are tried for one DISCOVER. A link where more of them are in use by strangers is slow to
/// answer, not silent: the client asks again, and those found in use rest.
const TRIES: usize = 4;

/// Settles a request; what it changes is durable when this returns. Without a `link` nobody is asked
/// whether an address is in use.
pub(super) async fn settled(
    app: &App,
    site: &Arc<Site>,
    request: &Request,
    standing: Standing,
    link: Option<&Link>,
) -> Result<Settled, Refusal> {
    let mut probe = match link {
        Some(_) => Probe::NotYet,
        None => Probe::Impossible,
    };
    for _ in 0..=TRIES {
        let (site, asked) = (site.clone(), request.clone());
        let rules = move |leases: &mut _, now| settle(leases, &site, &asked, standing, probe, now);
        let settled = app.store.lease(rules).await?;
        let (Settled::Probe(address), Some(link)) = (&settled, link) else {
            return Ok(settled);
        };
        probe = match link.who_has(*address, standing).await {
            Ok(None) => Probe::Silent(*address),
            Ok(Some(card)) => Probe::Answered(*address, card),
            Err(error) => {
                let why = format!("could not ask who has {address}: {error}");
                return Ok(Settled::Silence(why));
            }
        };
    }
    let why = format!("{TRIES} free addresses in a row are in use by others");
    Ok(Settled::Silence(why))
}
