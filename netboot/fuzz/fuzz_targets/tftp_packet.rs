//! Any bytes on port 69: read, its options negotiated, and a transfer with those driven by what follows in the input.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use netboot::tftp::packet::{Packet, read};
use netboot::tftp::sender::Sender;
use netboot::tftp::options::{Limits, negotiate};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Packet::Read(request)) = read(bytes) else {
        return;
    };
    for size in [0, 1, 1_000_000, 200_000_000] {
        let Ok(options) = negotiate(&request.options, size, Limits::of_link(1500)) else {
            continue;
        };
        let (mut sender, _) = Sender::new(size, &options, Duration::ZERO);
        let mut now = Duration::ZERO;
        for pair in bytes.chunks_exact(2).take(256) {
            now += Duration::from_millis(u64::from(pair[0]));
            let _ = sender.acknowledged(u16::from_be_bytes([pair[0], pair[1]]), now);
            if sender.due() <= now {
                let _ = sender.expired(now);
            }
            assert!(sender.delivered() <= size, "delivered more than there is");
        }
    }
});
