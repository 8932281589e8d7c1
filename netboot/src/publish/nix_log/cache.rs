//! A copy of store paths into a cache → bytes that have gone in.

use std::collections::BTreeMap;

use super::line::{COPY_PATH, LogMessage, WARNING, on_one_line};
use crate::publish::closure::ClosurePath;

/// What one `nix copy` into a cache has said so far. Nix 2.8 names the paths that it copies and no bytes, so their sizes
/// are brought along; a newer one tells of bytes as well.
#[derive(Debug, Default)]
pub struct CacheLog {
    /// The paths that are still to come, with the bytes of each.
    left: BTreeMap<String, u64>,
    /// Paths under way with the bytes of them that have gone.
    open: BTreeMap<u64, (String, u64)>,
    /// Bytes of paths that are done.
    done: u64,
    messages: Vec<String>,
}

impl CacheLog {
    /// For a copy of these paths.
    pub fn of<'a>(members: impl IntoIterator<Item = &'a ClosurePath>) -> Self {
        let sizes = members.into_iter();
        Self {
            left: sizes.map(|m| (m.path.to_string(), m.size)).collect(),
            ..Self::default()
        }
    }

    /// Takes in a line of stderr; true if more bytes have gone than before.
    pub fn take(&mut self, text: &str) -> bool {
        match LogMessage::read(text) {
            LogMessage::Start { id, kind, about } if kind == COPY_PATH => {
                self.open.insert(id, (about, 0));
            }
            LogMessage::Progress { id, done, .. } => {
                if let Some((path, gone)) = self.open.get_mut(&id) {
                    let more = done.min(self.left.get(path).copied().unwrap_or(0));
                    let news = more > *gone;
                    *gone = more.max(*gone);
                    return news;
                }
            }
            LogMessage::Stop { id } => {
                // The activities of one path may be nested.
                if let Some((path, _)) = self.open.remove(&id)
                    && let Some(size) = self.left.remove(&path)
                {
                    self.done += size;
                    return true;
                }
            }
            LogMessage::Word { level, text } if level <= WARNING => {
                self.messages.push(on_one_line(&text));
            }
            LogMessage::Start { .. }
            | LogMessage::Log { .. }
            | LogMessage::Word { .. }
            | LogMessage::Other => {}
        }
        false
    }

    /// Bytes of NARs, unpacked.
    pub fn done(&self) -> u64 {
        let open = self.open.values();
        let open = open.filter(|(path, _)| self.left.contains_key(path));
        self.done + open.map(|(_, gone)| gone).sum::<u64>()
    }

    /// Nix's own words, in the order it said them.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> CacheLog {
        let member = |letter: &str, size| ClosurePath {
            path: format!("/nix/store/{}-x", letter.repeat(32))
                .parse()
                .expect("a store path"),
            size,
        };
        CacheLog::of(&[member("1", 100), member("2", 30)])
    }

    fn start(log: &mut CacheLog, id: u64, letter: &str) -> bool {
        let path = format!("/nix/store/{}-x", letter.repeat(32));
        log.take(&format!(
            r#"@nix {{"action":"start","id":{id},"type":100,"level":3,"fields":["{path}","local","file:///c"],"text":"copying"}}"#
        ))
    }

    fn stop(log: &mut CacheLog, id: u64) -> bool {
        log.take(&format!(r#"@nix {{"action":"stop","id":{id}}}"#))
    }

    fn gone(log: &mut CacheLog, id: u64, done: u64) -> bool {
        log.take(&format!(
            r#"@nix {{"action":"result","id":{id},"type":105,"fields":[{done},100,0,0]}}"#
        ))
    }

    #[test]
    fn where_nix_tells_no_bytes_they_are_those_of_whole_paths() {
        let mut log = log();
        assert!(!start(&mut log, 1, "1"));
        assert_eq!(log.done(), 0);
        assert!(stop(&mut log, 1));
        assert_eq!(log.done(), 100);
        // One that it was not to copy, and one told of twice.
        start(&mut log, 2, "3");
        assert!(!stop(&mut log, 2));
        start(&mut log, 3, "1");
        assert!(!stop(&mut log, 3));
        start(&mut log, 4, "2");
        assert!(stop(&mut log, 4));
        assert_eq!(log.done(), 130);
    }

    #[test]
    fn where_nix_tells_bytes_they_count_and_once() {
        let mut log = log();
        start(&mut log, 1, "1");
        assert!(gone(&mut log, 1, 40));
        assert!(!gone(&mut log, 1, 40), "no news");
        assert!(!gone(&mut log, 9, 40), "another activity");
        assert_eq!(log.done(), 40);
        gone(&mut log, 1, 4000);
        assert_eq!(log.done(), 100, "never more than there is");
        stop(&mut log, 1);
        assert_eq!(log.done(), 100);
    }

    #[test]
    fn its_words_are_kept_and_chatter_is_not() {
        let mut log = log();
        for line in [
            r#"@nix {"action":"msg","level":0,"msg":"error: writing to file: No space left on device"}"#,
            r#"@nix {"action":"msg","level":3,"msg":"copying 5 paths..."}"#,
            "error: it broke before it could say so properly",
        ] {
            assert!(!log.take(line));
        }
        assert_eq!(
            log.messages(),
            [
                "error: writing to file: No space left on device",
                "error: it broke before it could say so properly"
            ]
        );
    }
}
