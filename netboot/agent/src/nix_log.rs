//! Nix's `--log-format internal-json` → bytes copied, and the words for a failure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Activity type "a path is copied" and result type "progress" (nix, `src/libutil/logging.hh`).
const COPY_PATH: u64 = 100;
const PROGRESS: u64 = 105;
/// Errors and warnings.
const WARNING: u64 = 1;
const WORDS: usize = 8;

/// What the runs of `nix-env` have said so far. One value outlives all tries, since what one try has copied,
/// the next does not copy again.
#[derive(Debug, Default)]
pub(crate) struct NixLog {
    /// Bytes of NARs that are complete.
    complete: u64,
    /// Activity → bytes done of bytes expected.
    open: BTreeMap<u64, (u64, u64)>,
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
            "result" if line.kind == PROGRESS => self.progress(&line),
            "stop" => {
                // A copy that broke off stops, too.
                if let Some((done, expected)) = self.open.remove(&line.id)
                    && done == expected
                {
                    self.complete += done;
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
        match (self.open.get_mut(&line.id), field(0), field(1)) {
            (Some(copy), Some(done), Some(expected)) => {
                let more = done > copy.0;
                *copy = (done, expected);
                more
            }
            _ => false,
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
        self.complete + self.open.values().map(|(done, _)| done).sum::<u64>()
    }

    /// Bytes of NARs that need not be fetched again.
    pub(crate) fn complete(&self) -> u64 {
        self.complete
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

    fn start(id: u64) -> String {
        format!(
            r#"@nix {{"action":"start","id":{id},"type":100,"level":3,"fields":["/nix/store/x","http://c","local"],"text":"copying"}}"#
        )
    }
    fn result(id: u64, done: u64, of: u64) -> String {
        format!(r#"@nix {{"action":"result","id":{id},"type":105,"fields":[{done},{of},0,0]}}"#)
    }
    fn stop(id: u64) -> String {
        format!(r#"@nix {{"action":"stop","id":{id}}}"#)
    }

    #[test]
    fn bytes_of_a_broken_copy_do_not_count_in_the_next_try() {
        let mut log = NixLog::default();
        for line in [
            start(1),
            result(1, 50, 50),
            stop(1),
            start(2),
            result(2, 30, 70),
            result(9, 5, 5),
        ] {
            log.take(&line);
        }
        assert_eq!(log.done(), 80);
        log.take(&stop(2));
        assert_eq!((log.done(), log.complete()), (50, 50));
        log.begin();
        for line in [start(3), result(3, 70, 70), stop(3)] {
            log.take(&line);
        }
        assert_eq!(log.done(), 120);
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
