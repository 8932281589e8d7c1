//! Any bytes on port 67 or 4011: read, then answered in every form and mode; each answer must be one that a client reads.
#![no_main]

use std::net::Ipv4Addr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use netboot::base::address::ApplianceAddress;
use netboot::dhcp::lease::{NakReason, NetworkParameters, LeaseAnswer, SilenceReason};
use netboot::dhcp::offer_fallback::OfferForm;
use netboot::dhcp::reply::{self, DhcpReply};
use netboot::dhcp::request::{Request, read};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = read(bytes) {
        answer(&request);
    }
});

fn answer(request: &Request) {
    let address = ApplianceAddress {
        ip: [10, 77, 0, 1].into(),
        http_port: 8080,
        node_port: 8443,
        pin: String::new(),
    };
    let network = NetworkParameters {
        netmask: [255, 255, 255, 0].into(),
        router: Some([10, 77, 0, 254].into()),
        dns: vec![[10, 77, 0, 254].into(); 8],
        domain: Some("example.org".to_owned()),
    };
    let (leased, lease_time) = (Ipv4Addr::new(10, 77, 0, 50), Duration::from_secs(3600));
    let settled = [
        LeaseAnswer::Offer {
            address: leased,
            lease_time,
        },
        LeaseAnswer::Ack {
            address: leased,
            lease_time,
        },
        LeaseAnswer::Inform,
        LeaseAnswer::Nak(NakReason::WrongNetwork),
        LeaseAnswer::Silence(SilenceReason::NoLeaseKnown),
    ];
    let name = request.host_name.as_ref();
    for settled in &settled {
        for plain in reply::server_answers(request, settled, None, &network, name, &address) {
            check(request, &plain);
        }
    }
    let Some(boot) = request.boot else { return };
    let loader = reply::loaders(boot).first().copied();
    let Some(file) = reply::boot_file(request, boot, loader, &address) else {
        return;
    };
    for form in [
        OfferForm::Usual,
        OfferForm::Turned,
        OfferForm::Split,
        OfferForm::InHeader,
        OfferForm::InOptions,
    ] {
        check(
            request,
            &reply::proxy_offer(request, boot, &file, form, &address),
        );
        check(
            request,
            &reply::binl_ack(request, boot, &file, form, &address),
        );
        for settled in &settled {
            let told = Some((boot, &file, form));
            for both in reply::server_answers(request, settled, told, &network, name, &address) {
                check(request, &both);
            }
        }
    }
}

/// The header is the client's, the options end, none is cut, and it is no larger than the client takes. What a relay
/// put in goes back whole, whatever the client behind it takes.
fn check(request: &Request, answer: &DhcpReply) {
    let bytes = &answer.bytes;
    let largest = usize::from(request.max_size.unwrap_or(576).clamp(576, 1500)) - 28;
    let relayed = request
        .relay_agent
        .as_ref()
        .map_or(0, |value| value.len() + 2 * value.len().div_ceil(255));
    assert!(
        bytes.len() >= 300 && bytes.len() <= largest.max(300) + relayed,
        "{} octets",
        bytes.len()
    );
    assert_eq!(
        (bytes[0], &bytes[4..8]),
        (2, &request.xid.to_be_bytes()[..])
    );
    assert_eq!(bytes[28..34], request.mac.octets());
    let mut rest = &bytes[240..];
    let mut server = false;
    while rest[0] != 255 {
        server |= rest[0] == 54;
        rest = &rest[2 + usize::from(rest[1])..];
    }
    assert!(server, "option 54 is missing");
    assert!(
        rest[1..].iter().all(|octet| *octet == 0),
        "something stands behind the end mark"
    );
}
