//! Why a call failed, out of the layers of the HTTP client.

use std::error::Error as _;
use std::io;

/// The first cause of a kind.
pub(crate) fn cause<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(|error| error.downcast_ref::<E>())
}

/// All causes, outermost first, each only once, in our words where we have some.
pub(crate) fn chain(error: &reqwest::Error) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => "there is no such socket".to_owned(),
            Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
            Some(io::ErrorKind::PermissionDenied) => "permission denied".to_owned(),
            _ if is_not_tls(cause) => "it does not speak TLS".to_owned(),
            _ => cause.to_string(),
        };
        if said.last() != Some(&text) {
            said.push(text);
        }
    }
    said
}

/// Whether the other side answered a handshake with something else. Each layer packs the reason into one more IO error.
fn is_not_tls(cause: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return error.get_ref().is_some_and(|inner| is_not_tls(inner));
    }
    matches!(
        cause.downcast_ref::<rustls::Error>(),
        Some(rustls::Error::InvalidMessage(_))
    )
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
