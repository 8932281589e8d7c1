//! Tells systemd how far the service is (sd_notify(3)). Without systemd it has no effect.

use std::time::Duration;

use netboot::machine::event::Decided;
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// Says `WATCHDOG=1` twice in each `period` (`WatchdogSec=`), but only if the store answers: without it no caller gets
/// an answer, whatever else still runs. A store that is read-only (a full disk) does answer, since a restart would not
/// help it.
pub async fn beat(
    store: Store,
    period: Duration,
    tell: impl Fn(NotifyState<'static>),
    stop: CancellationToken,
) {
    let nothing = || Decided {
        answer: Ok(()),
        events: Vec::new(),
    };
    loop {
        let answered = tokio::select! {
            answered = store.decide(move |_, _| nothing()) => answered,
            () = stop.cancelled() => return,
        };
        if answered.is_ok() {
            tell(NotifyState::Watchdog);
        }
        tokio::select! {
            () = tokio::time::sleep(period / 2) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Tells the service manager that started this process, if one did. That it cannot be told ends up in the log: the
/// service goes on.
pub fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(&state)) {
        tracing::warn!(%error, %state, "could not tell the service manager");
    }
}
