//! A request's parts → values that cannot be wrong, or the refusal: body, bearer, who asks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, Request};
use axum::http::Uri;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::token::Digest;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;
use tracing::Instrument;

use super::error::{Refused, too_slow};
use crate::keys::secret_hash;

/// Bytes of the largest body that any call takes: an inventory of a hundred disks is a tenth of it.
pub const BODY_LIMIT: usize = 1 << 20;

/// How long a body may take. The largest takes a second at 10 Mbit/s.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body, whatever its content type says.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let octets = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state))
            .await
            .map_err(|_| too_slow())?
            .map_err(|rejection| unread(&rejection).into_response())?;
        serde_json::from_slice(&octets)
            .map(Self)
            .map_err(|error| bad_json(what_is_wrong(&error)).into_response())
    }
}

fn unread(rejection: &BytesRejection) -> Refused {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Refused(Refusal::new(
                RefusalCode::TooLarge,
                format!("the body is larger than {BODY_LIMIT} bytes"),
            ))
        }
        _ => bad_json("the body broke off"),
    }
}

/// The query of a request. What cannot be read is refused in words of our own.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refused> {
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(_) => Err(bad_json("the part of the URL behind `?` is not readable")),
    }
}

/// A body that is not what the call takes.
pub fn bad_json(what: impl Into<String>) -> Refused {
    Refused(Refusal::new(RefusalCode::BadJson, what))
}

/// What is wrong with a body and where, without a word of the body: it may hold a session.
fn what_is_wrong(error: &serde_json::Error) -> String {
    use serde_json::error::Category;

    let text = error.to_string();
    let what = match error.classify() {
        Category::Io => return "the body broke off".to_owned(),
        Category::Eof => "the JSON ends too early".to_owned(),
        Category::Syntax => "the body is not JSON".to_owned(),
        // The field's name is ours; so is all that follows the last "expected".
        Category::Data if text.starts_with("missing field") => text
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned(),
        Category::Data => match text.rsplit_once(", expected ") {
            Some((_, ours)) => format!(
                "a value is of the wrong kind, expected {}",
                ours.split(" at line ").next().unwrap_or_default()
            ),
            None => "a value is not valid".to_owned(),
        },
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

/// The hash of `Authorization: Bearer …`: only the hash is ever compared or kept.
pub struct Bearer(pub Digest);

impl Bearer {
    /// Whether it is the secret with this hash, compared in constant time.
    pub fn is(&self, wanted: &Digest) -> bool {
        let (got, wanted) = (self.0.as_str().as_bytes(), wanted.as_str().as_bytes());
        got.ct_eq(wanted).into()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, secret)| scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty())
            .map(|(_, secret)| Self(secret_hash(secret.trim())))
            .ok_or_else(|| {
                Refused(Refusal::new(
                    RefusalCode::Unauthorized,
                    "the call carries no `Authorization: Bearer`",
                ))
            })
    }
}

/// The address that a request came from; unspecified where it came over no network.
pub struct FromAddress(pub Ipv4Addr);

impl<S: Send + Sync> FromRequestParts<S> for FromAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(match info.map(|ConnectInfo(peer)| peer.ip()) {
            Some(IpAddr::V4(address)) => address,
            Some(IpAddr::V6(_)) | None => Ipv4Addr::UNSPECIFIED,
        }))
    }
}

/// Who called over the network, for the record.
pub struct PeerAddress(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PeerAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(info.map_or_else(
            || "an unknown address".to_owned(),
            |ConnectInfo(peer)| peer.ip().to_string(),
        )))
    }
}

/// Puts everything logged about a request under its route.
pub async fn span(request: Request, next: Next) -> Response {
    let span =
        tracing::info_span!("http", method = %request.method(), route = request.uri().path());
    next.run(request).instrument(span).await
}

#[cfg(test)]
mod tests {
    use netboot::api::types::{ClaimRequest, PublishRequest};

    use super::*;

    #[test]
    fn a_bad_body_is_explained_without_repeating_it() {
        let secret = "5ecre7";
        for (name, body, want) in [
            (
                "not JSON",
                "secret 5ecre7".to_owned(),
                "the body is not JSON, at line 1 column 1",
            ),
            (
                "cut",
                r#"{"ticket":"5ecre7"#.to_owned(),
                "the JSON ends too early, at line 1 column 17",
            ),
            (
                "another kind",
                r#"{"session":["5ecre7"]}"#.to_owned(),
                "a value is of the wrong kind, expected a string, at line 1 column 11",
            ),
            (
                "a bad value that pretends to be our text",
                r#"{"ticket":"5ecre7, expected 5ecre7"}"#.to_owned(),
                "a value is not valid, at line 1 column 36",
            ),
            (
                "nothing in it",
                "{}".to_owned(),
                "missing field `ticket`, at line 1 column 2",
            ),
            (
                "empty",
                String::new(),
                "the JSON ends too early, at line 1 column 0",
            ),
        ] {
            let error = serde_json::from_str::<ClaimRequest>(&body).expect_err(name);
            let said = what_is_wrong(&error);
            assert_eq!(said, want, "{name}");
            assert!(!said.contains(secret), "{name}: {said}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let body = "[".repeat(100_000);
        let error = serde_json::from_str::<PublishRequest>(&body).expect_err("too deep");
        assert!(what_is_wrong(&error).contains("at line 1"));
        // An unknown field is skipped without recursion, however deep.
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let body = format!(r#"{{"extra":{open}{close}}}"#);
        let error = serde_json::from_str::<PublishRequest>(&body).expect_err("no system");
        assert!(what_is_wrong(&error).starts_with("missing field `system`"));
    }
}
