//! For which machine a file is asked.

use axum::http::Uri;
use netboot::base::mac::Mac;
use netboot::base::refusal::{Refusal, RefusalCode};

use crate::http::error::Refused;
use crate::http::request::query;

/// `?mac=`, which says for whom a file is asked.
#[derive(serde::Deserialize)]
struct MacQuery {
    mac: Option<String>,
}

pub(super) fn for_mac(uri: &Uri) -> Result<Mac, Refused> {
    let MacQuery { mac } = query(uri)?;
    read_mac(mac.as_deref())
}

pub(super) fn read_mac(text: Option<&str>) -> Result<Mac, Refused> {
    let text = text.ok_or_else(|| {
        Refusal::new(
            RefusalCode::BadMac,
            "the URL does not say for which machine",
        )
        .tip("add `?mac=52:54:00:12:34:56`")
    })?;
    text.parse::<Mac>().map_err(|error| {
        Refused(Refusal::new(
            RefusalCode::BadMac,
            format!("`{}` {error}", text.escape_debug()),
        ))
    })
}
