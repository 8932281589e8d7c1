//! Who commands: as the kernel says it on the socket, as the gate says it on the network.

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use netboot::base::refusal::{Refusal, RefusalCode};
use tokio_util::sync::CancellationToken;

use crate::http::error::Refused;
use crate::http::unix::LocalCaller;

#[derive(Debug, Clone)]
pub(super) struct AuthenticatedOperator {
    /// `uid 1000`, `token from 10.77.0.9`
    pub(super) by: String,
    pub(super) stop: CancellationToken,
}

impl<S: Send + Sync> FromRequestParts<S> for AuthenticatedOperator {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        if let Some(admitted) = parts.extensions.get::<Self>() {
            return Ok(admitted.clone());
        }
        match parts.extensions.get::<ConnectInfo<LocalCaller>>() {
            Some(ConnectInfo(LocalCaller { uid, stop })) => Ok(Self {
                by: format!("uid {uid}"),
                stop: stop.clone(),
            }),
            // Only reachable if these routes were put behind a door without a gate.
            None => Err(Refusal::new(
                RefusalCode::Unauthorized,
                "operators are known by the admin socket, and this is another way in",
            )
            .into()),
        }
    }
}
