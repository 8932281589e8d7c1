//! The corpus in `packets/`: what each packet is read as, what is decided, and the decoded answers, as golden text.
//!
//! `UPDATE_EXPECT=1 cargo nextest run -p netboot corpus` writes the texts anew; the difference is for a person to judge.

mod corpus;

use corpus::{CorpusPacket, MODES, all, answers, decoded, dump};
use netboot::dhcp::reply::ReplyTo;
use netboot::dhcp::request::read;

#[test]
fn the_corpus_is_read_decided_and_answered_as_written_down() {
    for packet in all() {
        expect_test::expect_file![packet.golden()].assert_eq(&dump(&packet));
    }
}

#[test]
fn the_index_of_the_corpus_names_every_packet_and_no_other() {
    let index = std::fs::read_to_string(corpus::folder().join("README.md")).expect("the index");
    let named: Vec<&str> = index
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let there: Vec<String> = all().into_iter().map(|packet| packet.name).collect();
    assert_eq!(named, there, "left: packets/README.md, right: the folder");
    let goldens = corpus::files("txt").len();
    assert_eq!(goldens, there.len(), "a golden text without a packet");
}

/// What holds for every answer, whatever firmware it is for.
#[test]
fn every_answer_of_the_corpus_decodes_to_what_was_asked_for() {
    for packet in all() {
        let Ok(request) = read(&packet.bytes) else {
            continue;
        };
        for (mode, _) in MODES {
            for answer in answers(&packet, mode) {
                let name = format!("{} in {mode:?}", packet.name);
                let message = decoded(&answer.bytes);
                assert_eq!(message.op, 2, "{name}");
                assert_eq!(message.xid, request.xid, "{name}");
                assert_eq!(message.chaddr[..6], request.mac.octets(), "{name}");
                assert_eq!(message.flags & !0x8000, request.flags & !0x8000, "{name}");
                let largest = usize::from(request.max_size.unwrap_or(576).clamp(576, 1500)) - 28;
                let size = answer.bytes.len();
                // A relay's own option goes back whole, whatever the client behind it takes.
                let relayed = request.relay_agent.as_ref().map_or(0, Vec::len);
                assert!((300..=largest + relayed).contains(&size), "{name}: {size}");
                assert!(message.ended, "{name}: no end mark");
                assert!(
                    !message.padded,
                    "{name}: a Raspberry Pi stops at a pad between options"
                );
                assert_eq!(message.option(54), Some(&[10, 77, 0, 1][..]), "{name}");
                assert_eq!(message.option(82), request.relay_agent.as_deref(), "{name}");
                let first: Vec<u8> = message.options.iter().take(2).map(|(c, _)| *c).collect();
                assert_eq!(first, [53, 54], "{name}: what the message is stands first");
                let last = message.options.last().map(|(code, _)| *code);
                let relayed = request.relay_agent.is_some();
                assert_eq!(last == Some(82), relayed, "{name}: option 82 is the last");
                if !request.giaddr.is_unspecified() && packet.port == 67 {
                    assert_eq!(answer.to, ReplyTo::Relay(request.giaddr), "{name}");
                }
                if let Some(text) = message.option(67) {
                    assert!(std::str::from_utf8(text).is_ok(), "{name}");
                    let next = message
                        .options
                        .iter()
                        .skip_while(|(code, _)| *code != 67)
                        .nth(1);
                    let safe = text.ends_with(&[0]) || text.starts_with(b"http") || next.is_some();
                    assert!(safe, "{name}: EDK2 writes a NUL behind option 67");
                }
                for never in [50, 55, 57] {
                    assert_eq!(message.option(never), None, "{name}: RFC 2131 table 3");
                }
            }
        }
    }
}

/// A packet that lost its tail, or one octet of it, is still a packet that somebody may send.
#[test]
fn no_cut_and_no_changed_octet_of_the_corpus_makes_anything_panic() {
    for packet in all() {
        for length in 0..packet.bytes.len() {
            let cut = CorpusPacket {
                bytes: packet.bytes[..length].to_vec(),
                ..packet.clone()
            };
            answer_in_every_mode(&cut);
        }
        for at in 0..packet.bytes.len() {
            let mut changed = packet.clone();
            changed.bytes[at] ^= 0xff;
            answer_in_every_mode(&changed);
        }
    }
}

fn answer_in_every_mode(packet: &CorpusPacket) {
    for (mode, _) in MODES {
        for answer in answers(packet, mode) {
            let message = decoded(&answer.bytes);
            assert_eq!((message.op, message.ended), (2, true), "{}", packet.name);
        }
    }
}
