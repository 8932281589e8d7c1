//! The log on standard error: lines for people, and for the journal with the priority of each.

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::os::fd::AsFd;

use nix::sys::stat::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, Layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Begins the log of this process. `RUST_LOG` says how much of it; by default, what is worth knowing of a normal day.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = Layer::default()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .event_format(LogLines {
            format: Format::default().with_target(false),
            have_priorities: is_journal(
                &std::env::var("JOURNAL_STREAM").unwrap_or_default(),
                stderr(),
            ),
        });
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
}

/// Whether systemd connected this descriptor with the journal: `stream` is `$JOURNAL_STREAM` (systemd.exec(5)). That
/// the variable is set is not enough: a program that starts this service may have inherited it, and may have given it
/// another standard error.
fn is_journal(stream: &str, descriptor: impl AsFd) -> bool {
    fstat(descriptor).is_ok_and(|file| stream == format!("{}:{}", file.st_dev, file.st_ino))
}

/// Lines as `F` makes them, after their priority if they have one.
struct LogLines<F> {
    format: F,
    have_priorities: bool,
}

impl<S, N, F> FormatEvent<S, N> for LogLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.have_priorities {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        self.format.format_event(context, writer, event)
    }
}

/// The priorities of syslog(3), which sd-daemon(3) has before a line. The journal keeps them as `PRIORITY=`.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(have_priorities: bool) -> String {
        let text = Text::default();
        let written = text.clone();
        let lines = Layer::default()
            .with_writer(move || written.clone())
            .with_ansi(false)
            .event_format(LogLines {
                format: Format::default().with_target(false).without_time(),
                have_priorities,
            });
        let log = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(log, || {
            let _in = tracing::info_span!("dhcp", port = 67).entered();
            tracing::error!("broken");
            tracing::warn!(left = 3, "odd");
            tracing::info!("answered");
            tracing::debug!("ignored");
        });
        let octets = text.0.lock().clone();
        String::from_utf8(octets).expect("is text")
    }

    #[test]
    fn the_journal_is_told_the_priority_of_each_line_and_a_terminal_is_not() {
        let lines = "ERROR dhcp{port=67}: broken\n WARN dhcp{port=67}: odd left=3\n INFO dhcp{port=67}: answered\nDEBUG dhcp{port=67}: ignored\n";
        assert_eq!(logged(false), lines);
        let priorities = ["<3>", "<4>", "<6>", "<7>"].into_iter();
        let with: String = priorities
            .zip(lines.lines())
            .map(|(priority, line)| format!("{priority}{line}\n"))
            .collect();
        assert_eq!(logged(true), with);
    }

    #[test]
    fn only_the_stream_that_systemd_names_is_the_journal() {
        let file = tempfile::tempfile().expect("a file");
        let other = tempfile::tempfile().expect("a file");
        let named = fstat(&file).expect("is open");
        let stream = format!("{}:{}", named.st_dev, named.st_ino);
        assert!(is_journal(&stream, &file));
        assert!(!is_journal(&stream, &other));
        assert!(!is_journal("", &file));
    }
}
