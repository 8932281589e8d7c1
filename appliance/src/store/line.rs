//! One line of the journal: the event's JSON with what proves it whole and in its place.
//!
//! `{"seq":1,"crc32c":"8 hex","chain":"64 hex","event":{…}}`, where `crc32c` is over the event's bytes
//! and `chain` is SHA-256 over the 32 octets of the chain before it and the event's bytes. The chain
//! begins with the SHA-256 of the header line, so lines of two journals never fit together.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The hash over everything up to and with a line.
pub(super) type Chain = [u8; 32];

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub journal: u32,
    /// Names this store: 32 hexadecimal digits.
    pub id: String,
}

impl Header {
    pub(super) const VERSION: u32 = 1;

    /// Where the chain of a journal with this header line begins; without the line feed.
    pub(super) fn chain(line: &[u8]) -> Chain {
        Sha256::digest(line).into()
    }
}

/// The chain after `payload`.
pub(super) fn link(before: &Chain, payload: &[u8]) -> Chain {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(payload);
    hash.finalize().into()
}

/// The line for an event, with its line feed.
pub(super) fn render(seq: u64, chain: &Chain, payload: &str) -> String {
    let crc = crc32c::crc32c(payload.as_bytes());
    let chain = hex::encode(chain);
    format!(
        "{{\"seq\":{seq},\"crc32c\":\"{crc:08x}\",\"chain\":\"{chain}\",\"event\":{payload}}}\n"
    )
}

/// A line that is whole by its own checksum. Whether it is in its place, only the chain can tell.
#[derive(Debug)]
pub(super) struct JournalLine<'a> {
    pub seq: u64,
    pub chain: String,
    pub payload: &'a str,
}

#[derive(Deserialize)]
struct LineFrame<'a> {
    seq: u64,
    crc32c: String,
    chain: String,
    #[serde(borrow)]
    event: &'a RawValue,
}

/// Reads a line without its line feed, or says what is wrong with it.
pub(super) fn read(line: &[u8]) -> Result<JournalLine<'_>, &'static str> {
    let frame: LineFrame<'_> =
        serde_json::from_slice(line).map_err(|_| "is not a line of a journal")?;
    let payload = frame.event.get();
    if frame.crc32c != format!("{:08x}", crc32c::crc32c(payload.as_bytes())) {
        return Err("does not match its checksum");
    }
    Ok(JournalLine {
        seq: frame.seq,
        chain: frame.chain,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal of an older version is read by a newer one, and its chain is followed.
    #[test]
    fn a_journal_is_stored_as_it_always_was() {
        let header = Header {
            journal: Header::VERSION,
            id: "0123456789abcdef0123456789abcdef".to_owned(),
        };
        let first = r#"{"journal":1,"id":"0123456789abcdef0123456789abcdef"}"#;
        assert_eq!(serde_json::to_string(&header).expect("writes"), first);
        let again: Header = serde_json::from_str(first).expect("reads");
        assert_eq!(again, header);

        let chain = link(&Header::chain(first.as_bytes()), b"{}");
        let stored = r#"{"seq":1,"crc32c":"297bd0aa","chain":"552398c6ffd21f0d5553224158cff608f74ddfbff2c522aa9305865dfeea1a33","event":{}}"#;
        assert_eq!(render(1, &chain, "{}"), format!("{stored}\n"));
        let line = read(stored.as_bytes()).expect("is whole");
        let read = (line.seq, line.chain, line.payload);
        assert_eq!(read, (1, hex::encode(chain), "{}"));
    }
}
