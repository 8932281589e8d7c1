//! The sentinel: one line beside the index that says how far the leases in it must have come.
//!
//! Events have the journal to be compared with; leases live in the index alone, and an engine that opens
//! empty or rolled back after damage would not be noticed otherwise.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::files::durable;

/// Overwritten in place: the line is of one length and far shorter than a sector.
pub(super) struct Sentinel {
    file: File,
    id: String,
    /// How many times leases were written; `None` if the line was torn.
    pub turn: Option<u64>,
}

impl Sentinel {
    pub(super) fn create(path: &Path, id: &str) -> io::Result<()> {
        durable::write(path, 0o600, render(id, 0).as_bytes())
    }

    pub(super) fn open(path: &Path, id: &str) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut text = String::new();
        // Damage shows as a line that does not parse.
        let _ = file.read_to_string(&mut text);
        let turn = text
            .split(' ')
            .nth(2)
            .and_then(|turn| turn.parse().ok())
            .filter(|turn| render(id, *turn) == text);
        Ok(Self {
            file,
            id: id.to_owned(),
            turn,
        })
    }

    /// Durable when it returns.
    pub(super) fn set(&mut self, turn: u64) -> io::Result<()> {
        let text = render(&self.id, turn);
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_data()?;
        self.turn = Some(turn);
        Ok(())
    }
}

fn render(id: &str, turn: u64) -> String {
    let line = format!("1 {id} {turn:020}");
    let crc = crc32c::crc32c(line.as_bytes());
    format!("{line} {crc:08x}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_read_back_and_damage_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("sentinel");
        Sentinel::create(&path, "ab12").expect("creates");
        let mut sentinel = Sentinel::open(&path, "ab12").expect("opens");
        assert_eq!(sentinel.turn, Some(0));
        sentinel.set(7).expect("sets");
        assert_eq!(Sentinel::open(&path, "ab12").expect("opens").turn, Some(7));
        assert_eq!(Sentinel::open(&path, "cd34").expect("opens").turn, None);
        let text = std::fs::read(&path).expect("reads");
        for at in 0..text.len() {
            let mut torn = text.clone();
            torn[at] ^= 1;
            std::fs::write(&path, &torn).expect("writes");
            let turn = Sentinel::open(&path, "ab12").expect("opens").turn;
            assert_eq!(turn, None, "octet {at}");
        }
    }

    #[test]
    fn a_line_is_stored_as_it_always_was() {
        assert_eq!(render("ab12", 7), "1 ab12 00000000000000000007 cca69270\n");
    }
}
