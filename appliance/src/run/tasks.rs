//! The tasks of the service by name: none of them ends before it is told to.

use std::panic::AssertUnwindSafe;

use anyhow::anyhow;
use futures_lite::FutureExt;
use tokio::task::JoinSet;

/// Listeners and watches. Dropping it ends them.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<(String, anyhow::Result<()>)>,
}

impl Tasks {
    pub(super) fn add(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let name = name.into();
        self.set.spawn(async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            (name, ended.unwrap_or_else(|_| Err(anyhow!("it panicked"))))
        });
    }

    /// Adds a task that can only end, not fail.
    pub(super) fn add_watch(
        &mut self,
        name: &'static str,
        watch: impl Future<Output = ()> + Send + 'static,
    ) {
        self.add(name, async {
            watch.await;
            Ok(())
        });
    }

    /// Waits for a listener to end, which none should, and says which it was.
    pub(super) async fn first_to_end(&mut self) -> anyhow::Error {
        match self.set.join_next().await {
            Some(Ok((name, Err(error)))) => error.context(format!("{name} died")),
            Some(Ok((name, Ok(())))) => anyhow!("{name} ended by itself"),
            Some(Err(error)) => anyhow::Error::new(error).context("a listener died"),
            None => anyhow!("nothing is served"),
        }
    }

    pub(super) async fn all_ended(&mut self) {
        while let Some(ended) = self.set.join_next().await {
            if let Ok((name, Err(error))) = ended {
                tracing::warn!(
                    listener = name,
                    error = format!("{error:#}"),
                    "did not end well"
                );
            }
        }
    }
}
