//! Authentication of operators on the network: a request with the token passes, any other is refused here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use netboot::api::admin;
use netboot::api::auth_throttle::{AuthThrottle, FailedAttempt, LIMIT};
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::token::Digest;
use netboot::machine::state::ApplianceState;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::operator::AuthenticatedOperator;
use crate::base::clock;
use crate::http::error::{Refused, not_now};
use crate::http::request::Bearer;
use crate::store::Store;

/// Knows the token by its hash only.
pub struct AdminAuth {
    store: Store,
    token: Digest,
    attempts: Mutex<AuthThrottle>,
    stop: CancellationToken,
}

impl AdminAuth {
    pub fn new(store: Store, token: Digest, stop: CancellationToken) -> Self {
        Self {
            store,
            token,
            attempts: Mutex::default(),
            stop,
        }
    }

    fn attempts<T>(&self, of: impl FnOnce(&mut AuthThrottle) -> T) -> T {
        of(&mut self.attempts.lock())
    }

    /// The refusal of a call without the token. The first for a while is on record, and the last that is looked at.
    async fn refuse(&self, refusal: Refusal, from: IpAddr) -> Response {
        let failed = self.attempts(|attempts| attempts.failed(from, clock::now()));
        if failed == FailedAttempt::Again {
            return Refused(refusal).into_response();
        }
        let (told, from) = (refusal.clone(), from.to_string());
        let turned_away =
            move |state: &ApplianceState, now| admin::turned_away(state, told, now, &from);
        // The answer is always the refusal; a store that cannot write says so.
        let refusal = match self.store.decide(turned_away).await {
            Ok(_) => refusal,
            Err(said) => said,
        };
        Refused(refusal).into_response()
    }
}

/// Lets a call with the token through, as one of an operator. The token goes no further.
pub(super) async fn admit(
    State(admin_auth): State<Arc<AdminAuth>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>().copied() else {
        let message = "operators on the network are known by their address, and this call has none";
        return Refused(Refusal::new(RefusalCode::Unauthorized, message)).into_response();
    };
    let from = peer.ip();
    if let Some(wait) = admin_auth.attempts(|attempts| attempts.blocked_for(from, clock::now())) {
        let message = format!("{LIMIT} calls from {from} came without the token of this appliance");
        let refusal = Refusal::new(RefusalCode::TooManyAttempts, message)
            .fact(format!(
                "it is not listened to for another {} s",
                wait.as_secs().max(1)
            ))
            .tip("copy the appliance's token file to this machine again, then wait a minute");
        return not_now(refusal, wait);
    }
    let bearer = Bearer::from_request_parts(&mut parts, &()).await;
    match bearer {
        Ok(bearer) if bearer.is(&admin_auth.token) => {}
        Ok(_) => {
            let refusal = Refusal::new(
                RefusalCode::Unauthorized,
                "the token is not that of this appliance",
            )
            .fact("nothing was changed")
            .tip("copy the appliance's token file to this machine again");
            return admin_auth.refuse(refusal, from).await;
        }
        Err(Refused(refusal)) => return admin_auth.refuse(refusal, from).await,
    }
    parts.headers.remove(AUTHORIZATION);
    parts.extensions.insert(AuthenticatedOperator {
        by: format!("token from {from}"),
        stop: admin_auth.stop.clone(),
    });
    next.run(Request::from_parts(parts, body)).await
}

#[cfg(test)]
mod tests;
