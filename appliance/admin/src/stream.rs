//! The stream of events, with no gap and no repeat when the appliance restarts in the middle.

use std::time::Duration;

use netboot::api::types::EventLine;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{AdminClient, LineStream};
use crate::failure::Failure;

/// The appliance sends a line at least every 10 s; after three times that, the connection is taken for broken.
const QUIET: Duration = Duration::from_secs(30);

/// How long the appliance may be away before watching it makes no sense: a restart, an upgrade, a reboot.
const AWAY: Duration = Duration::from_secs(300);

/// Between two tries to reach it.
const AGAIN: Duration = Duration::from_millis(500);

pub(crate) enum StreamItem {
    /// A line of the stream: parsed, and as it came.
    Live(Box<EventLine>, String),
    /// The appliance is away; said once.
    Lost,
    Back,
}

pub(crate) struct EventStream<'a> {
    client: &'a AdminClient,
    machine: Option<String>,
    /// The highest number received.
    last: u64,
    follow: bool,
    lines: Option<LineStream<'a>>,
    /// Since when the appliance is away.
    away: Option<Instant>,
    begun: bool,
}

impl<'a> EventStream<'a> {
    pub(crate) fn new(
        client: &'a AdminClient,
        machine: Option<String>,
        after: u64,
        follow: bool,
    ) -> Self {
        Self {
            client,
            machine,
            last: after,
            follow,
            lines: None,
            away: None,
            begun: false,
        }
    }

    /// The next item; `None` at the end of a stream that does not follow.
    ///
    /// # Errors
    /// The appliance was never there, has been away for [`AWAY`], or answered with something else than events.
    pub(crate) async fn next(&mut self) -> Result<Option<StreamItem>, Failure> {
        loop {
            let Some(lines) = &mut self.lines else {
                match self.connect().await {
                    Ok(lines) => {
                        self.lines = Some(lines);
                        self.begun = true;
                        if self.away.take().is_some() {
                            return Ok(Some(StreamItem::Back));
                        }
                    }
                    Err(failure) if self.may_come_back(&failure) => sleep(AGAIN).await,
                    Err(failure) => return Err(failure),
                }
                continue;
            };
            let received = timeout(QUIET, lines.next()).await;
            match received {
                Ok(Ok(Some(line))) => {
                    let Some((live, number)) = read(&line) else {
                        return Err(lines.foreign());
                    };
                    self.last = self.last.max(number);
                    return Ok(Some(StreamItem::Live(Box::new(live), line)));
                }
                Ok(Ok(None)) if !self.follow => return Ok(None),
                Ok(Err(failure)) if !self.follow => return Err(failure),
                Ok(Ok(None) | Err(_)) | Err(_) => {
                    self.lines = None;
                    self.away = Some(Instant::now());
                    return Ok(Some(StreamItem::Lost));
                }
            }
        }
    }

    async fn connect(&self) -> Result<LineStream<'a>, Failure> {
        let mut query = vec![
            ("after", self.last.to_string()),
            ("follow", self.follow.to_string()),
        ];
        query.extend(self.machine.clone().map(|machine| ("machine", machine)));
        self.client.lines(&["events"], &query).await
    }

    fn may_come_back(&self, failure: &Failure) -> bool {
        let passing = match failure {
            Failure::Unreachable { .. } | Failure::Unanswered { .. } => true,
            Failure::Refused { .. } => failure.notice().is_some_and(|notice| notice.exit == 3),
            _ => false,
        };
        let in_time = self.away.is_some_and(|since| since.elapsed() < AWAY);
        passing && self.begun && in_time
    }
}

/// A line and its number, which is 0 where a line has none. What a newer appliance says is [`EventLine::Unknown`]; `None` if no
/// appliance says such a line.
fn read(line: &str) -> Option<(EventLine, u64)> {
    let value: Value = serde_json::from_str(line).ok()?;
    value.get("line")?;
    let number = value.pointer("/event/seq").and_then(Value::as_u64);
    let live = serde_json::from_value(value).unwrap_or(EventLine::Unknown);
    Some((live, number.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_newer_appliance_are_survived_and_garbage_is_not() {
        let newer = r#"{"line":"event","event":{"seq":7,"at":"2026-04-02T10:14:07Z","what":{"event":"painted"}}}"#;
        assert_eq!(read(newer), Some((EventLine::Unknown, 7)));
        assert_eq!(read(r#"{"line":"weather"}"#), Some((EventLine::Unknown, 0)));
        assert_eq!(read(r#"{"line":"alive"}"#), Some((EventLine::Alive, 0)));
        for garbage in ["", "<html>", "{}", "7", r#"{"event":1}"#] {
            assert_eq!(read(garbage), None, "{garbage}");
        }
    }
}
