//! A refusal → an HTTP answer. The only module that knows status codes.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use netboot::api::types::ErrorBody;
use netboot::base::refusal::{Refusal, RefusalCode};
use serde::Serialize;

/// A refusal on its way out. The caller gets the whole of one that the caller can mend; the details of a fault of the
/// appliance go to the log only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Refusal);

/// JSON for the caller, or the refusal.
pub type JsonResult<T> = Result<Json<T>, Refused>;

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

/// A fault of the appliance itself; `error` is for the log.
pub fn broken(error: &anyhow::Error) -> Refused {
    Refused(Refusal::new(RefusalCode::Internal, format!("{error:#}")))
}

/// Exhaustive on purpose: a new code does not compile without a decision.
fn status(code: RefusalCode) -> StatusCode {
    match code {
        RefusalCode::BadMac | RefusalCode::BadJson | RefusalCode::BadName => {
            StatusCode::BAD_REQUEST
        }
        RefusalCode::Unauthorized => StatusCode::UNAUTHORIZED,
        RefusalCode::UnknownHost | RefusalCode::NotFound => StatusCode::NOT_FOUND,
        RefusalCode::DuplicateMac
        | RefusalCode::DuplicateName
        | RefusalCode::WrongState
        | RefusalCode::TicketUsed
        | RefusalCode::TooEarly
        | RefusalCode::ConfirmFirst => StatusCode::CONFLICT,
        RefusalCode::AlreadyReceived | RefusalCode::InstallSuperseded => StatusCode::GONE,
        RefusalCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalCode::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
        RefusalCode::UnknownProfile
        | RefusalCode::UnknownInstall
        | RefusalCode::UnknownRelease
        | RefusalCode::PlanRefused
        | RefusalCode::PublishFailed => StatusCode::UNPROCESSABLE_ENTITY,
        RefusalCode::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusalCode::Internal | RefusalCode::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What a caller may know of a fault inside: that there is one, and where to look.
fn outside(code: RefusalCode) -> Refusal {
    let message = match code {
        RefusalCode::StoreUnavailable => "the appliance cannot write to its store at the moment",
        _ => "something in the appliance failed",
    };
    Refusal::new(code, message).tip("on the appliance, read `journalctl -u pxe-appliance`")
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = status(self.0.code);
        let Refusal {
            code,
            message,
            facts,
            ..
        } = &self.0;
        let error = if status.is_server_error() {
            tracing::error!(?code, cause = %message, ?facts, "failed");
            outside(*code)
        } else if *code == RefusalCode::ConfirmFirst {
            // Asked again every few seconds; the journal has it once.
            tracing::debug!(?code, reason = %message, "waits");
            self.0
        } else {
            tracing::warn!(?code, reason = %message, "refused");
            self.0
        };
        (status, Json(ErrorBody { error })).into_response()
    }
}

/// An answer to a command: 201 if it changed something, 200 if it was so already.
pub fn changed<T: Serialize>(changed: bool, answer: T) -> Response {
    let status = if changed {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    (status, Json(answer)).into_response()
}

/// A call that this machine may not make: the caller is known, and is refused (403).
pub fn forbidden(refusal: Refusal) -> Response {
    let mut response = Refused(refusal).into_response();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

/// A body that did not arrive in time (408): a caller that is merely slow may try again.
pub fn too_slow() -> Response {
    let refusal = Refusal::new(RefusalCode::BadJson, "the body did not arrive in time");
    let mut response = Refused(refusal).into_response();
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    response
}

/// A caller that is blocked for a while (429), with `Retry-After`.
pub fn not_now(refusal: Refusal, wait: Duration) -> Response {
    let mut response = Refused(refusal).into_response();
    let seconds = wait.as_secs().max(1).into();
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

/// For every path and method that no route takes.
pub async fn no_such_route() -> Refused {
    Refused(Refusal::new(
        RefusalCode::NotFound,
        "no such call; the appliance may be of another version",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(refused: Refused) -> (StatusCode, String) {
        let response = refused.into_response();
        let status = response.status();
        let octets = axum::body::to_bytes(response.into_body(), 1 << 16)
            .await
            .expect("a body");
        (status, String::from_utf8_lossy(&octets).into_owned())
    }

    #[tokio::test]
    async fn a_fault_inside_leaks_neither_path_nor_os_text() {
        for code in [
            RefusalCode::StoreUnavailable,
            RefusalCode::Internal,
            RefusalCode::Unknown,
        ] {
            let refusal = Refusal::new(
                code,
                "cannot sync `/var/lib/pxe-appliance/store/db`: No space left on device (os error 28)",
            )
            .fact("/var/lib/pxe-appliance is on /dev/sda2")
            .tip("rm -r /var/lib/pxe-appliance/cache");
            let (status, text) = body(refusal.into()).await;
            assert!(status.is_server_error(), "{code:?}: {status}");
            for leak in ["/var", "/dev", "os error", "No space"] {
                assert!(!text.contains(leak), "{code:?}: {text}");
            }
            let said: ErrorBody = serde_json::from_str(&text).expect("an error body");
            assert_eq!(said.error.code, code);
        }
    }

    #[tokio::test]
    async fn a_refusal_travels_whole() {
        let refusal = Refusal::new(RefusalCode::UnknownProfile, "no profile named `web-1`")
            .fact("known profiles: db, web-01")
            .tip("did you mean `web-01`?");
        let (status, text) = body(refusal.clone().into()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let said: ErrorBody = serde_json::from_str(&text).expect("an error body");
        assert_eq!(said.error, refusal);
    }

    #[test]
    fn statuses_are_those_of_the_contract() {
        for (code, want) in [
            (RefusalCode::BadMac, 400),
            (RefusalCode::BadJson, 400),
            (RefusalCode::Unauthorized, 401),
            (RefusalCode::UnknownHost, 404),
            (RefusalCode::DuplicateMac, 409),
            (RefusalCode::WrongState, 409),
            (RefusalCode::TicketUsed, 409),
            (RefusalCode::TooEarly, 409),
            (RefusalCode::ConfirmFirst, 409),
            (RefusalCode::AlreadyReceived, 410),
            (RefusalCode::InstallSuperseded, 410),
            (RefusalCode::TooLarge, 413),
            (RefusalCode::TooManyAttempts, 429),
            (RefusalCode::UnknownProfile, 422),
            (RefusalCode::UnknownInstall, 422),
            (RefusalCode::PlanRefused, 422),
            (RefusalCode::StoreUnavailable, 503),
        ] {
            assert_eq!(status(code).as_u16(), want, "{code:?}");
        }
    }
}
