//! Nix's `--log-format internal-json` → bytes copied, and the words for a failure.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

/// Activity types "a path is copied" and "paths are copied", result type "progress" (nix, `src/libutil/logging.hh`).
const COPY_PATH: u64 = 100;
const COPY_PATHS: u64 = 103;
const PROGRESS: u64 = 105;
/// Errors and warnings.
const WARNING: u64 = 1;
const WORDS: usize = 8;

/// What the runs of `nix-env` have said so far. One value outlives all tries, since what one try has copied,
/// the next does not copy again.
#[derive(Debug, Default)]
pub(crate) struct NixLog {
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
    words: Vec<String>,
}

/// Whether it makes sense to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The network, the cache, a NAR that was cut.
    Passing,
    /// The cache holds what its key did not sign.
    Signature,
    /// The disk is full or broken.
    Disk,
}

#[derive(Deserialize)]
struct Line {
    action: String,
    #[serde(default)]
    id: u64,
    #[serde(rename = "type", default)]
    kind: u64,
    #[serde(default)]
    fields: Vec<serde_json::Value>,
    #[serde(default)]
    level: u64,
    #[serde(default)]
    msg: String,
}

impl NixLog {
    /// Forgets what a try did not finish; call before each.
    pub(crate) fn begin(&mut self) {
        self.open.clear();
        self.arrived.clear();
        self.tally = None;
        self.words.clear();
    }

    /// Takes in a line of stderr; true if more bytes are there than before.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        let Some(json) = text.strip_prefix("@nix ") else {
            self.word(text);
            return false;
        };
        let Ok(line) = serde_json::from_str::<Line>(json) else {
            return false;
        };
        match line.action.as_str() {
            "start" if line.kind == COPY_PATH => {
                self.open.insert(line.id, (0, 0));
                false
            }
            "start" if line.kind == COPY_PATHS => {
                self.tally = Some((line.id, 0));
                false
            }
            "result" if line.kind == PROGRESS => self.progress(&line),
            "stop" => {
                // A copy that broke off stops, too; and the last bytes of a good one are not told of.
                if let Some((_, expected)) = self.open.remove(&line.id) {
                    self.arrived.push_back(expected);
                }
                false
            }
            "msg" if line.level <= WARNING => {
                self.word(&line.msg);
                false
            }
            _ => false,
        }
    }

    fn progress(&mut self, line: &Line) -> bool {
        let field = |n: usize| line.fields.get(n).and_then(serde_json::Value::as_u64);
        let (Some(done), Some(expected)) = (field(0), field(1)) else {
            return false;
        };
        if let Some((id, counted)) = &mut self.tally
            && *id == line.id
        {
            for _ in *counted..done {
                self.paths += 1;
                self.complete += self.arrived.pop_front().unwrap_or(0);
            }
            *counted = done.max(*counted);
            return false;
        }
        match self.open.get_mut(&line.id) {
            Some(copy) => {
                let more = done > copy.0;
                *copy = (done, expected);
                more
            }
            None => false,
        }
    }

    fn word(&mut self, text: &str) {
        let text = plain(text);
        let passing = text.is_empty() || text.contains("; retrying in ");
        if !passing && !self.words.contains(&text) {
            if self.words.len() == WORDS {
                self.words.remove(0);
            }
            self.words.push(text);
        }
    }

    /// Bytes of NARs, unpacked, that have arrived.
    pub(crate) fn done(&self) -> u64 {
        let open = self.open.values().map(|(done, _)| done);
        self.complete + open.chain(&self.arrived).sum::<u64>()
    }

    /// Paths that need not be fetched again.
    pub(crate) fn paths(&self) -> u64 {
        self.paths
    }

    /// Nix's own words, in the order it said them.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// The word that says most: Nix ends with one that only names the path.
    pub(crate) fn reason(&self) -> Option<&str> {
        let telling = |word: &&String| !word.starts_with("error: build of ");
        let word = self.words.iter().find(telling).or(self.words.last());
        word.map(String::as_str)
    }

    pub(crate) fn cause(&self) -> Cause {
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
        let said = |any: &[&str]| self.words.iter().any(|w| any.iter().any(|a| w.contains(a)));
        if said(&SIGNATURE) {
            Cause::Signature
        } else if said(&DISK) {
            Cause::Disk
        } else {
            Cause::Passing
        }
    }
}

/// Without colours (ECMA-48 `ESC [ … letter`), on one line.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(part.len(), |n| n + 1);
        out.push_str(&part[end..]);
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of one path, as 2.8 writes them: its last bytes are not told of.
    fn copied(log: &mut NixLog, id: u64, done: u64, of: u64) {
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

    fn counted(log: &mut NixLog, paths: u64) {
        log.take(&format!(
            r#"@nix {{"action":"result","id":7,"type":105,"fields":[{paths},9,0,0]}}"#
        ));
    }

    fn begun() -> NixLog {
        let mut log = NixLog::default();
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
                Cause::Signature,
            ),
            (
                "2.26",
                "error: cannot add path '/nix/store/x' because it lacks a signature by a trusted key",
                Cause::Signature,
            ),
            (
                "a cut NAR",
                "\\u001b[31;1merror:\\u001b[0m unable to download 'http://c/nar/1.nar.zst': HTTP error 200 ('OK') (curl error: Transferred a partial file)",
                Cause::Passing,
            ),
            (
                "a full disk",
                "error: writing to file: No space left on device",
                Cause::Disk,
            ),
        ] {
            let mut log = NixLog::default();
            log.take(&format!(
                r#"@nix {{"action":"msg","level":1,"msg":"{message}"}}"#
            ));
            assert_eq!(log.cause(), want, "{name}");
            assert!(
                !log.words()[0].contains('\u{1b}'),
                "{name}: {:?}",
                log.words()
            );
        }
    }

    #[test]
    fn odd_lines_are_survived() {
        let mut log = NixLog::default();
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
            (log.done(), log.words()),
            (0, &["plain words".to_owned()][..])
        );
    }
}
