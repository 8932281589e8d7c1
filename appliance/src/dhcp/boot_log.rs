//! What a packet and its answer say of a boot: marks for the timeline, and the packets themselves.

use std::net::{Ipv4Addr, SocketAddrV4};

use netboot::dhcp::reply::Answer;
use netboot::dhcp::request::{Kind, Request};
use netboot::doctor::boot_trace::{Mark, Why};
use netboot::machine::decide;

use super::{Door, Judged, Outcome, Reason};
use crate::app::App;

/// What it says of a boot that this was asked; nothing for a machine that does not want to netboot.
pub(super) fn asked(request: &Request, door: Door) -> Option<Mark> {
    let boot = request.boot.as_ref()?;
    match (door, request.kind) {
        (Door::Dhcp, Kind::Discover) => Some(Mark::Discover {
            client: boot.client,
            arch: boot.arch,
        }),
        (Door::Dhcp, Kind::Request) => Some(Mark::TookAddress {
            server: request.server,
            address: request.requested,
        }),
        (Door::Binl, Kind::Request | Kind::Inform) => Some(Mark::Asked4011),
        _ => None,
    }
}

/// Takes down a packet that came in, and that it got no answer if it got none.
pub(super) fn came(
    app: &App,
    here: Ipv4Addr,
    door: Door,
    packet: &[u8],
    from: SocketAddrV4,
    judged: &Judged,
) {
    let Some(mac) = judged.mac else { return };
    // The socket does not tell where it was sent to. Who has no address yet can only have broadcast it.
    let to = match door {
        Door::Dhcp if from.ip().is_unspecified() => Ipv4Addr::BROADCAST,
        Door::Dhcp | Door::Binl => here,
    };
    app.keep_packet(mac, from, SocketAddrV4::new(to, door.port()), packet);
    let Some(asked) = &judged.asked else { return };
    app.mark(mac, asked.clone());
    match &judged.outcome {
        // Its router's answer is none of ours.
        Outcome::Ignored(Reason::ForTheServer | Reason::Own) | Outcome::Answers(_) => {}
        Outcome::Ignored(reason) => app.mark(mac, silence(reason, reason.to_string())),
        Outcome::Panicked => {}
    }
}

/// Takes down an answer that `judged` came to, once it is sent or cannot be.
pub(super) fn went(
    app: &App,
    here: Ipv4Addr,
    door: Door,
    judged: &Judged,
    answer: &Answer,
    sent: std::io::Result<SocketAddrV4>,
) {
    let Some(mac) = judged.mac else { return };
    if let Ok(to) = sent {
        app.keep_packet(mac, SocketAddrV4::new(here, door.port()), to, &answer.bytes);
    }
    if judged.asked.is_none() {
        return;
    }
    let given = answer.given.clone();
    app.mark(
        mac,
        match (sent, &judged.no_file, door) {
            (Err(error), ..) => Mark::Silence {
                why: Why::Trouble,
                reason: format!("the answer could not be sent: {error}"),
            },
            // The words say so already.
            (Ok(_), Some(reason), _) => silence(reason, given),
            (Ok(_), None, Door::Dhcp) => Mark::Answered { given },
            (Ok(_), None, Door::Binl) => Mark::Answered4011 { given },
        },
    );
}

fn silence(reason: &Reason, text: String) -> Mark {
    let why = match reason {
        Reason::Decided(
            decide::Reason::Unknown | decide::Reason::Discovered | decide::Reason::Undiscovered(_),
        ) => Why::Stranger,
        Reason::Decided(decide::Reason::State(_)) => Why::Disk,
        Reason::Decided(decide::Reason::Expired(_)) => Why::Expired,
        Reason::Decided(decide::Reason::AttemptsUsed(_)) => Why::AttemptsUsed,
        Reason::NoLoader(_) | Reason::LoaderMissing(_) => Why::NoLoader,
        Reason::Unreadable(_)
        | Reason::Own
        | Reason::NotNetboot
        | Reason::ForTheServer
        | Reason::NotForBinl
        | Reason::NotArmed
        | Reason::Lease(_)
        | Reason::Refused(_) => Why::Trouble,
    };
    Mark::Silence { why, reason: text }
}
