//! Waiting for a condition: with a limit, and with words for the failure.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Short for a person, long for a program that is started to ask.
const BETWEEN: Duration = Duration::from_millis(200);

/// Asks `probe` until it gives something. `what` completes "waited 30 s for …".
///
/// # Errors
/// The limit is over, or the probe failed: to wait any longer would be in vain.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(got) = probe().with_context(|| format!("while waiting for {what}"))? {
            return Ok(got);
        }
        if start.elapsed() > limit {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(BETWEEN);
    }
}

/// The same for a condition without a value.
pub fn wait_for(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    wait_until(what, limit, || Ok(probe()?.then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waited_for_is_said() {
        let late = wait_for("the post", Duration::ZERO, || Ok(false)).unwrap_err();
        assert_eq!(format!("{late:#}"), "waited 0 s for the post");
        let vain = wait_for("the post", Duration::MAX, || bail!("the box is gone")).unwrap_err();
        assert_eq!(
            format!("{vain:#}"),
            "while waiting for the post: the box is gone"
        );
        let mut tries = 0;
        let third = wait_until("three", Duration::from_secs(5), || {
            tries += 1;
            Ok((tries == 3).then_some(tries))
        });
        assert_eq!(third.unwrap(), 3);
    }
}
