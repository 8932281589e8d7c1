//! Asks the Kubernetes API whether a node is Ready: the one thing that makes `joined`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Runs until the token is cancelled.
pub async fn watch(app: Arc<App>, stop: CancellationToken) {
    let _ = (app, stop);
    unimplemented!()
}
