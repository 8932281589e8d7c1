//! For which machine a file is asked.

use axum::http::Uri;
use netboot::base::mac::Mac;
use netboot::base::refusal::{Code, Refusal};

use crate::http::error::Refused;
use crate::http::request::query;

/// `?mac=`, which says for whom a file is asked.
#[derive(serde::Deserialize)]
struct ForMac {
    mac: Option<String>,
}

pub(super) fn for_mac(uri: &Uri) -> Result<Mac, Refused> {
    let ForMac { mac } = query(uri)?;
    read_mac(mac.as_deref())
}

pub(super) fn read_mac(text: Option<&str>) -> Result<Mac, Refused> {
    let text = text.ok_or_else(|| {
        Refusal::new(Code::BadMac, "the URL does not say for which machine")
            .tip("add `?mac=52:54:00:12:34:56`")
    })?;
    text.parse::<Mac>().map_err(|error| {
        Refused(Refusal::new(
            Code::BadMac,
            format!("`{}` {error}", text.escape_debug()),
        ))
    })
}
