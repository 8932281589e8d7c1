//! A build → what a person wants to see while it goes on, and Nix's own words.

use std::collections::{BTreeMap, VecDeque};

use super::line::{BUILD, BUILDS, COPY_PATH, COPY_PATHS, LogMessage, WARNING, without_colours};

/// The most lines of Nix's own messages that are kept: a trace may have thousands, and its end says most.
const WORDS: usize = 100;

/// The last lines of a builder that are kept in case it fails: as many as Nix shows by itself.
const TAIL: usize = 25;

/// Builds whose last lines are kept: Nix may say which of them failed when others have ended since.
const ENDED: usize = 64;

/// How many are done, of how many that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgressCount {
    pub done: u64,
    pub expected: u64,
}

/// What a line brought that is worth showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildUpdate {
    /// A derivation of this name is being built.
    Builds(String),
    /// A path of this name is being copied from a cache.
    Copies(String),
    /// One of the counts moved.
    Moved,
}

/// What one run of a Nix command has said so far.
#[derive(Debug, Default)]
pub struct BuildLog {
    /// The activities that count builds and copies.
    builds: (Option<u64>, ProgressCount),
    copies: (Option<u64>, ProgressCount),
    /// Bytes of NARs that have arrived whole, and of those on their way.
    fetched: u64,
    open: BTreeMap<u64, u64>,
    /// Builds that go on, and those that ended, with the last lines of each.
    running: BTreeMap<u64, Tail>,
    ended: VecDeque<Tail>,
    messages: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Tail {
    derivation: String,
    lines: VecDeque<String>,
}

impl BuildLog {
    /// Takes in a line of stderr.
    pub fn take(&mut self, text: &str) -> Option<BuildUpdate> {
        match LogMessage::read(text) {
            LogMessage::Start { id, kind, about } => self.start(id, kind, &about),
            LogMessage::Progress { id, done, expected } => self.progress(id, done, expected),
            LogMessage::Stop { id } => {
                self.fetched += self.open.remove(&id).unwrap_or(0);
                if let Some(tail) = self.running.remove(&id) {
                    if self.ended.len() == ENDED {
                        self.ended.pop_front();
                    }
                    self.ended.push_back(tail);
                }
                None
            }
            LogMessage::Log { id, text } => {
                let tail = self.running.get_mut(&id)?;
                if tail.lines.len() == TAIL {
                    tail.lines.pop_front();
                }
                tail.lines.push_back(text);
                None
            }
            LogMessage::Word { level, text } => {
                if level <= WARNING && !text.contains("; retrying in ") {
                    self.word(&text);
                    self.tail(&text);
                }
                None
            }
            LogMessage::Other => None,
        }
    }

    fn start(&mut self, id: u64, kind: u64, about: &str) -> Option<BuildUpdate> {
        match kind {
            BUILDS => self.builds.0 = Some(id),
            COPY_PATHS => self.copies.0 = Some(id),
            BUILD => {
                let derivation = about.to_owned();
                let tail = Tail {
                    derivation,
                    ..Tail::default()
                };
                self.running.insert(id, tail);
                return Some(BuildUpdate::Builds(name(about).to_owned()));
            }
            COPY_PATH => {
                self.open.insert(id, 0);
                return Some(BuildUpdate::Copies(name(about).to_owned()));
            }
            _ => {}
        }
        None
    }

    fn progress(&mut self, id: u64, done: u64, expected: u64) -> Option<BuildUpdate> {
        let count = ProgressCount { done, expected };
        if self.builds.0 == Some(id) {
            self.builds.1 = count;
        } else if self.copies.0 == Some(id) {
            self.copies.1 = count;
        } else {
            *self.open.get_mut(&id)? = done;
        }
        Some(BuildUpdate::Moved)
    }

    fn word(&mut self, text: &str) {
        for line in without_colours(text).lines() {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            if self.messages.len() == WORDS {
                self.messages.pop_front();
            }
            self.messages.push_back(line.to_owned());
        }
    }

    /// With this log format Nix leaves the builder's own lines out of its error.
    fn tail(&mut self, text: &str) {
        let failed = |tail: &Tail| !tail.derivation.is_empty() && text.contains(&tail.derivation);
        let Some(at) = self.ended.iter().position(failed) else {
            return;
        };
        let Some(tail) = self.ended.remove(at) else {
            return;
        };
        if !text.contains("log lines:") {
            for line in tail.lines {
                self.word(&format!("       > {line}"));
            }
        }
    }

    /// Derivations that are built, of those that must be.
    pub fn builds(&self) -> ProgressCount {
        self.builds.1
    }

    /// The name of one that is being built now.
    pub fn building(&self) -> Option<&str> {
        let last = self.running.values().next_back()?;
        Some(name(&last.derivation))
    }

    /// Paths that came from a cache, of those that must.
    pub fn copies(&self) -> ProgressCount {
        self.copies.1
    }

    /// Bytes of NARs, unpacked, that came from a cache.
    pub fn fetched(&self) -> u64 {
        self.fetched + self.open.values().sum::<u64>()
    }

    /// Nix's own errors and warnings, line by line, without colours.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().map(String::as_str)
    }
}

/// `/nix/store/<hash>-name.drv` → `name`; anything else as it is.
fn name(path: &str) -> &str {
    let base = path.strip_prefix("/nix/store/");
    let name = base.and_then(|base| base.split_once('-'));
    let name = name.map_or(path, |(_, name)| name);
    name.strip_suffix(".drv").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As 2.8 says it of one derivation that is built and one path that is fetched.
    const LINES: [(&str, Option<BuildUpdate>); 9] = [
        (
            r#"{"action":"start","id":1,"level":0,"parent":0,"text":"","type":104}"#,
            None,
        ),
        (
            r#"{"action":"start","id":2,"level":0,"parent":0,"text":"","type":103}"#,
            None,
        ),
        (
            r#"{"action":"result","fields":[0,2,1,0],"id":1,"type":105}"#,
            Some(BuildUpdate::Moved),
        ),
        (
            r#"{"action":"result","fields":[0,1,1,0],"id":2,"type":105}"#,
            Some(BuildUpdate::Moved),
        ),
        (
            r#"{"action":"result","fields":[100,700],"id":1,"type":106}"#,
            None,
        ),
        (
            r#"{"action":"result","fields":["a line of the builder"],"id":3,"type":101}"#,
            None,
        ),
        (
            r#"{"action":"result","fields":[1,1,0,0],"id":2,"type":105}"#,
            Some(BuildUpdate::Moved),
        ),
        (r#"{"action":"stop","id":2}"#, None),
        (
            r#"{"action":"result","fields":[1,2,1,0],"id":1,"type":105}"#,
            Some(BuildUpdate::Moved),
        ),
    ];

    #[test]
    fn builds_and_copies_are_counted_and_named() {
        let mut log = BuildLog::default();
        for (line, want) in &LINES {
            assert_eq!(log.take(&format!("@nix {line}")), *want, "{line}");
        }
        let count = |done, expected| ProgressCount { done, expected };
        assert_eq!((log.builds(), log.copies()), (count(1, 2), count(1, 1)));

        let hash = "0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq";
        let start = |id, kind, path: &str| {
            format!(
                r#"@nix {{"action":"start","id":{id},"type":{kind},"fields":["/nix/store/{hash}-{path}","x"]}}"#
            )
        };
        assert_eq!(
            log.take(&start(9, 105, "nixos-system-worker-25.05.drv")),
            Some(BuildUpdate::Builds("nixos-system-worker-25.05".to_owned()))
        );
        assert_eq!(log.building(), Some("nixos-system-worker-25.05"));
        assert_eq!(
            log.take(&start(10, 100, "linux-6.12.21")),
            Some(BuildUpdate::Copies("linux-6.12.21".to_owned()))
        );
        log.take(r#"@nix {"action":"result","fields":[70,100,0,0],"id":10,"type":105}"#);
        assert_eq!(log.fetched(), 70);
        log.take(r#"@nix {"action":"stop","id":10}"#);
        assert_eq!(log.fetched(), 70);
    }

    #[test]
    fn words_are_nixs_own_line_by_line_without_colours() {
        let mut log = BuildLog::default();
        log.take(r#"@nix {"action":"msg","level":0,"msg":"\u001b[31;1merror:\u001b[0m builder for '\u001b[35;1m/nix/store/x.drv\u001b[0m' failed with exit code 3;\n       last 1 log lines:\n       > no such file"}"#);
        log.take(r#"@nix {"action":"msg","level":3,"msg":"building '/nix/store/x.drv'..."}"#);
        log.take("Segmentation fault");
        let messages: Vec<&str> = log.messages().collect();
        assert_eq!(
            messages,
            [
                "error: builder for '/nix/store/x.drv' failed with exit code 3;",
                "       last 1 log lines:",
                "       > no such file",
                "Segmentation fault",
            ]
        );
        for n in 0..300 {
            log.take(&format!("line {n}"));
        }
        assert_eq!(log.messages().count(), WORDS);
        assert_eq!(log.messages().last(), Some("line 299"));
    }

    #[test]
    fn a_failed_builders_last_lines_stand_behind_the_error() {
        let mut log = BuildLog::default();
        for (id, name) in [(1, "good"), (2, "broken")] {
            log.take(&format!(
                r#"@nix {{"action":"start","id":{id},"type":105,"fields":["/nix/store/{name}.drv","",1,1]}}"#
            ));
            for n in 0..30 {
                log.take(&format!(
                    r#"@nix {{"action":"result","id":{id},"type":101,"fields":["{name} {n}"]}}"#
                ));
            }
        }
        for id in [2, 1] {
            log.take(&format!(r#"@nix {{"action":"stop","id":{id}}}"#));
        }
        log.take(r#"@nix {"action":"msg","level":0,"msg":"error: builder for '/nix/store/broken.drv' failed with exit code 3"}"#);
        let messages: Vec<&str> = log.messages().collect();
        assert_eq!(messages.len(), 1 + TAIL);
        assert_eq!(
            messages[0],
            "error: builder for '/nix/store/broken.drv' failed with exit code 3"
        );
        assert_eq!(messages[1], "       > broken 5");
        assert_eq!(messages[TAIL], "       > broken 29");
    }

    #[test]
    fn odd_lines_are_survived() {
        let mut log = BuildLog::default();
        for line in [
            "",
            "@nix ",
            "@nix {",
            "@nix []",
            r#"@nix {"action":"result","id":-1}"#,
            r#"@nix {"action":"start","id":1,"type":105,"fields":[7]}"#,
        ] {
            log.take(line);
        }
        assert_eq!(log.messages().count(), 0);
        assert_eq!(log.builds(), ProgressCount::default());
    }
}
