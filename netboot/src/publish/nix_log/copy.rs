//! A copy of store paths → bytes that have arrived, and whether to try again.

use std::collections::{BTreeMap, VecDeque};

use super::line::{COPY_PATH, COPY_PATHS, LogMessage, WARNING, on_one_line};

const WORDS: usize = 8;

/// What the runs of one copy have said so far. One value outlives all tries, since what one try has copied,
/// the next does not copy again.
#[derive(Debug, Default)]
pub struct CopyLog {
    /// Bytes of the NARs of paths that are there.
    complete: u64,
    /// Paths that are there.
    paths: u64,
    /// Copies under way: bytes done of bytes expected.
    open: BTreeMap<u64, (u64, u64)>,
    /// The sizes of NARs that have arrived, but are not yet found to be what the narinfo says.
    arrived: VecDeque<u64>,
    /// The activity that counts paths, and how many it has counted.
    tally: Option<(u64, u64)>,
    messages: Vec<String>,
}

/// Whether it makes sense to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFailure {
    /// The network, the cache, a NAR that was cut.
    Passing,
    /// The cache holds what its key did not sign.
    Signature,
    /// The disk is full or broken.
    Disk,
}

impl CopyLog {
    /// Forgets what a try did not finish; call before each.
    pub fn begin(&mut self) {
        self.open.clear();
        self.arrived.clear();
        self.tally = None;
        self.messages.clear();
    }

    /// Takes in a line of stderr; true if more bytes are there than before.
    pub fn take(&mut self, text: &str) -> bool {
        match LogMessage::read(text) {
            LogMessage::Start { id, kind, .. } if kind == COPY_PATH => {
                self.open.insert(id, (0, 0));
            }
            LogMessage::Start { id, kind, .. } if kind == COPY_PATHS => self.tally = Some((id, 0)),
            LogMessage::Progress { id, done, expected } => {
                return self.progress(id, done, expected);
            }
            LogMessage::Stop { id } => {
                // A copy that broke off stops, too; and the last bytes of a good one are not told of.
                if let Some((_, expected)) = self.open.remove(&id) {
                    self.arrived.push_back(expected);
                }
            }
            LogMessage::Word { level, text } if level <= WARNING => self.word(&text),
            LogMessage::Start { .. }
            | LogMessage::Log { .. }
            | LogMessage::Word { .. }
            | LogMessage::Other => {}
        }
        false
    }

    fn progress(&mut self, id: u64, done: u64, expected: u64) -> bool {
        if let Some((tally, counted)) = &mut self.tally
            && *tally == id
        {
            for _ in *counted..done {
                self.paths += 1;
                self.complete += self.arrived.pop_front().unwrap_or(0);
            }
            *counted = done.max(*counted);
            return false;
        }
        match self.open.get_mut(&id) {
            Some(copy) => {
                let more = done > copy.0;
                *copy = (done, expected);
                more
            }
            None => false,
        }
    }

    fn word(&mut self, text: &str) {
        let text = on_one_line(text);
        let passing = text.is_empty() || text.contains("; retrying in ");
        if !passing && !self.messages.contains(&text) {
            if self.messages.len() == WORDS {
                self.messages.remove(0);
            }
            self.messages.push(text);
        }
    }

    /// Bytes of NARs, unpacked, that have arrived.
    pub fn done(&self) -> u64 {
        let open = self.open.values().map(|(done, _)| done);
        self.complete + open.chain(&self.arrived).sum::<u64>()
    }

    /// Paths that need not be fetched again.
    pub fn paths(&self) -> u64 {
        self.paths
    }

    /// Nix's own words, in the order it said them.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// The word that says most: Nix ends with one that only names the path.
    pub fn reason(&self) -> Option<&str> {
        let telling = |word: &&String| !word.starts_with("error: build of ");
        let word = self.messages.iter().find(telling).or(self.messages.last());
        word.map(String::as_str)
    }

    pub fn cause(&self) -> CopyFailure {
        // 2.8 to 2.34 have four ways to say it.
        const SIGNATURE: [&str; 4] = [
            "is not signed by any of the keys in 'trusted-public-keys'",
            "does not have a valid signature",
            "lacks a valid signature",
            "lacks a signature by a trusted key",
        ];
        const DISK: [&str; 3] = [
            "No space left on device",
            "Input/output error",
            "Read-only file system",
        ];
        let said = |any: &[&str]| {
            self.messages
                .iter()
                .any(|w| any.iter().any(|a| w.contains(a)))
        };
        if said(&SIGNATURE) {
            CopyFailure::Signature
        } else if said(&DISK) {
            CopyFailure::Disk
        } else {
            CopyFailure::Passing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of one path, as 2.8 writes them: its last bytes are not told of.
    fn copied(log: &mut CopyLog, id: u64, done: u64, of: u64) {
        for line in [
            format!(
                r#"{{"action":"start","id":{id},"type":100,"level":3,"fields":["/nix/store/x"],"text":"copying"}}"#
            ),
            format!(r#"{{"action":"result","id":{id},"type":105,"fields":[{done},{of},0,0]}}"#),
            format!(r#"{{"action":"stop","id":{id}}}"#),
        ] {
            log.take(&format!("@nix {line}"));
        }
    }

    fn counted(log: &mut CopyLog, paths: u64) {
        log.take(&format!(
            r#"@nix {{"action":"result","id":7,"type":105,"fields":[{paths},9,0,0]}}"#
        ));
    }

    fn begun() -> CopyLog {
        let mut log = CopyLog::default();
        log.take(r#"@nix {"action":"start","id":7,"type":103,"fields":[],"text":""}"#);
        log
    }

    #[test]
    fn bytes_are_those_of_whole_paths_and_what_has_arrived_of_others() {
        let mut log = begun();
        copied(&mut log, 1, 48, 50);
        assert_eq!((log.done(), log.paths()), (50, 0));
        counted(&mut log, 1);
        log.take(r#"@nix {"action":"start","id":2,"type":100}"#);
        assert!(log.take(r#"@nix {"action":"result","id":2,"type":105,"fields":[30,70,0,0]}"#));
        assert!(!log.take(r#"@nix {"action":"result","id":9,"type":105,"fields":[5,5,0,0]}"#));
        assert_eq!((log.done(), log.paths()), (80, 1));
    }

    #[test]
    fn a_path_that_was_not_accepted_does_not_count_in_the_next_try() {
        let mut log = begun();
        copied(&mut log, 1, 50, 50);
        counted(&mut log, 1);
        // Whole, but with another hash than the narinfo's.
        copied(&mut log, 2, 70, 70);
        counted(&mut log, 1);
        log.begin();
        assert_eq!((log.done(), log.paths()), (50, 1));
        log.take(r#"@nix {"action":"start","id":7,"type":103}"#);
        counted(&mut log, 0);
        copied(&mut log, 3, 70, 70);
        counted(&mut log, 1);
        assert_eq!((log.done(), log.paths()), (120, 2));
    }

    #[test]
    fn what_nix_says_is_sorted_by_whether_to_try_again() {
        for (name, message, want) in [
            (
                "2.8, another key",
                "\\u001b[35;1mwarning:\\u001b[0m the substitute for '/nix/store/x' from 'http://c' is not signed by any of the keys in 'trusted-public-keys'",
                CopyFailure::Signature,
            ),
            (
                "2.26",
                "error: cannot add path '/nix/store/x' because it lacks a signature by a trusted key",
                CopyFailure::Signature,
            ),
            (
                "a cut NAR",
                "\\u001b[31;1merror:\\u001b[0m unable to download 'http://c/nar/1.nar.zst': HTTP error 200 ('OK') (curl error: Transferred a partial file)",
                CopyFailure::Passing,
            ),
            (
                "a full disk",
                "error: writing to file: No space left on device",
                CopyFailure::Disk,
            ),
        ] {
            let mut log = CopyLog::default();
            log.take(&format!(
                r#"@nix {{"action":"msg","level":1,"msg":"{message}"}}"#
            ));
            assert_eq!(log.cause(), want, "{name}");
            assert!(
                !log.messages()[0].contains('\u{1b}'),
                "{name}: {:?}",
                log.messages()
            );
        }
    }

    #[test]
    fn odd_lines_are_survived() {
        let mut log = CopyLog::default();
        for line in [
            "",
            "@nix ",
            "@nix {",
            "@nix []",
            r#"@nix {"action":"result","id":-1}"#,
            "plain words",
        ] {
            log.take(line);
        }
        assert_eq!(
            (log.done(), log.messages()),
            (0, &["plain words".to_owned()][..])
        );
    }
}
