//! What each packet needs on its walk, and what it comes to. The bytes of the answers are the corpus's (`tests/packets/`).

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::base::arch::Arch;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::dhcp::lease::{NetworkParameters, ProbeResult, Reservations};
use crate::doctor::boot_trace::NoAnswerReason;
use crate::machine::State;
use crate::test_support::{self, address, mac};

const UEFI: NetbootRequest = NetbootRequest {
    arch: Arch::X64,
    client: BootClient::Pxe,
};
const IPXE: NetbootRequest = NetbootRequest {
    arch: Arch::X64,
    client: BootClient::Ipxe,
};

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

fn site() -> Arc<Site> {
    let lan = Subnet {
        first: ip(50),
        last: ip(59),
        lease_time: Duration::from_secs(3600),
        reservations: Reservations::default(),
        network: NetworkParameters {
            netmask: [255, 255, 255, 0].into(),
            router: None,
            dns: Vec::new(),
            domain: None,
        },
    };
    Arc::new(Site {
        server: ip(1),
        lan,
        relayed: Vec::new(),
    })
}

fn request(kind: ClientMessageType, boot: Option<NetbootRequest>) -> Request {
    Request {
        kind,
        boot,
        ..test_support::request()
    }
}

/// What the service would find, in place of the service.
#[derive(Clone)]
struct TestService {
    site: Option<Arc<Site>>,
    decision: Result<Decision, Refusal>,
    enrolled: Result<Decision, Refusal>,
    loaders: bool,
    /// One for each call of the lease rules; the last is given again.
    settled: Vec<Result<LeaseAnswer, Refusal>>,
    wire: Result<Option<Mac>, String>,
}

impl TestService {
    fn proxy() -> Self {
        Self {
            site: None,
            decision: Ok(Decision::Install),
            enrolled: Ok(Decision::Install),
            loaders: true,
            settled: vec![Ok(offer())],
            wire: Ok(None),
        }
    }

    fn server() -> Self {
        Self {
            site: Some(site()),
            ..Self::proxy()
        }
    }

    /// The outcome, and the needs in their order.
    fn answers(
        &self,
        door: DhcpPort,
        request: Result<Request, request::Ignored>,
    ) -> (PacketOutcome, Vec<String>) {
        self.answers_with(door, request, &[])
    }

    fn answers_with(
        &self,
        door: DhcpPort,
        request: Result<Request, request::Ignored>,
        own: &[Mac],
    ) -> (PacketOutcome, Vec<String>) {
        let address = address();
        let question = PacketContext {
            request,
            door,
            address: &address,
            site: self.site.as_ref(),
            own,
        };
        let mut known = KnownFacts::new(true);
        let mut needs = Vec::new();
        let mut settled = self.settled.iter();
        let mut last = None;
        for _ in 0..20 {
            match answer(&question, &known) {
                Ok(outcome) => return (outcome, needs),
                Err(MissingFact::Decision(_)) => {
                    needs.push("decision".to_owned());
                    known.decided(self.decision.clone());
                }
                Err(MissingFact::Enrollment(_, profile)) => {
                    needs.push(format!("enrollment under {profile}"));
                    known.enrolled(self.enrolled.clone());
                }
                Err(MissingFact::Manner(request, boot)) => {
                    needs.push("manner".to_owned());
                    let (mut loader_attempts, now) =
                        (LoaderAttempts::default(), Timestamp::default());
                    let has = |_: &str| self.loaders;
                    let boot_method =
                        question.boot_method(&mut loader_attempts, request, boot, None, has, now);
                    known.tries(boot_method);
                }
                Err(MissingFact::Lease { probe, .. }) => {
                    needs.push(match probe {
                        ProbeResult::NotYet => "lease".to_owned(),
                        probe => format!("lease after {probe:?}"),
                    });
                    last = settled.next().or(last);
                    known.settled(last.cloned().expect("is told"), None);
                }
                Err(MissingFact::Probe(_, address)) => {
                    needs.push(format!("probe of {address}"));
                    known.probed(address, self.wire.clone());
                }
            }
        }
        panic!("no outcome after {needs:?}");
    }
}

fn offer() -> LeaseAnswer {
    LeaseAnswer::Offer {
        address: ip(50),
        lease_time: Duration::from_secs(3600),
    }
}

fn full_disk() -> Refusal {
    Refusal::new(RefusalCode::StoreUnavailable, "the disk is full")
}

/// `given`, or why there is no answer.
fn outcome_text(outcome: &PacketOutcome) -> String {
    match &outcome.answers {
        Ok(_) => outcome.given().into_owned(),
        Err(why) => format!("ignored: {why}"),
    }
}

#[test]
fn each_packet_needs_what_its_answer_depends_on_and_no_more() {
    let (proxy, server) = (TestService::proxy(), TestService::server());
    for (name, service, door, kind, boot, needs, want) in [
        (
            "a ROM beside a router",
            &proxy,
            DhcpPort::Dhcp,
            ClientMessageType::Discover,
            Some(UEFI),
            &["decision", "manner"][..],
            "offered snponly.efi",
        ),
        (
            "iPXE beside a router",
            &proxy,
            DhcpPort::Dhcp,
            ClientMessageType::Discover,
            Some(IPXE),
            &["decision"],
            "offered boot script",
        ),
        (
            "a phone beside a router",
            &proxy,
            DhcpPort::Dhcp,
            ClientMessageType::Discover,
            None,
            &[],
            "ignored: does not want to netboot",
        ),
        (
            "a request to the router",
            &proxy,
            DhcpPort::Dhcp,
            ClientMessageType::Request,
            Some(UEFI),
            &[],
            "ignored: the network's own DHCP server answers it",
        ),
        (
            "port 4011 in proxy mode",
            &proxy,
            DhcpPort::Binl,
            ClientMessageType::Request,
            Some(UEFI),
            &["decision", "manner"],
            "named snponly.efi on 4011",
        ),
        (
            "port 4011 in server mode",
            &server,
            DhcpPort::Binl,
            ClientMessageType::Inform,
            Some(UEFI),
            &["decision", "manner"],
            "named snponly.efi on 4011",
        ),
        (
            "a discover on 4011",
            &server,
            DhcpPort::Binl,
            ClientMessageType::Discover,
            Some(UEFI),
            &[],
            "ignored: not a question for port 4011",
        ),
        (
            "a phone on 4011",
            &server,
            DhcpPort::Binl,
            ClientMessageType::Request,
            None,
            &[],
            "ignored: does not want to netboot",
        ),
        (
            "a phone in server mode",
            &server,
            DhcpPort::Dhcp,
            ClientMessageType::Discover,
            None,
            &["lease"],
            "offered 10.77.0.50",
        ),
        (
            "a ROM in server mode",
            &server,
            DhcpPort::Dhcp,
            ClientMessageType::Discover,
            Some(UEFI),
            &["decision", "manner", "lease"],
            "offered 10.77.0.50 with snponly.efi",
        ),
        (
            "U-Boot as UEFI beside a router, which takes no file from a second server",
            &proxy,
            DhcpPort::Dhcp,
            ClientMessageType::Discover,
            Some(NetbootRequest {
                arch: Arch::Arm64,
                client: BootClient::UBootUefi,
            }),
            &["decision", "manner"],
            "ignored: the network's own DHCP server answers it",
        ),
    ] {
        let (outcome, needed) = service.answers(door, Ok(request(kind, boot)));
        assert_eq!(needed, needs, "{name}");
        assert_eq!(outcome_text(&outcome), want, "{name}");
        assert_eq!(
            (outcome.mac, outcome.xid),
            (Some(mac(0x56)), Some(7)),
            "{name}"
        );
    }
}

#[test]
fn a_decision_against_booting_ends_the_walk_beside_a_router_and_leaves_the_lease_in_server_mode() {
    let installed = decide_reason();
    for (name, decision, enrolled, proxy, server) in [
        (
            "its own disk",
            Ok(Decision::Disk(installed.clone())),
            Ok(Decision::Install),
            "ignored: installed; boots its own disk",
            "offered 10.77.0.50, nothing to boot: installed; boots its own disk",
        ),
        (
            "enrolled by policy",
            Ok(Decision::Enroll("lab".parse().expect("a name"))),
            Ok(Decision::Install),
            "offered snponly.efi",
            "offered 10.77.0.50 with snponly.efi",
        ),
        (
            "enrolled, and not armed",
            Ok(Decision::Enroll("lab".parse().expect("a name"))),
            Ok(Decision::Enroll("lab".parse().expect("a name"))),
            "ignored: enrolling it by `boot.unknown` did not arm it",
            "offered 10.77.0.50, nothing to boot: enrolling it by `boot.unknown` did not arm it",
        ),
        (
            "not enrolled, for there are too many",
            Ok(Decision::Enroll("lab".parse().expect("a name"))),
            Err(full_disk()),
            "ignored: the disk is full",
            "offered 10.77.0.50, nothing to boot: the disk is full",
        ),
        (
            "not on record",
            Err(full_disk()),
            Ok(Decision::Install),
            "ignored: the disk is full",
            "offered 10.77.0.50, nothing to boot: the disk is full",
        ),
    ] {
        for (mode, want) in [
            (TestService::proxy(), proxy),
            (TestService::server(), server),
        ] {
            let service = TestService {
                decision: decision.clone(),
                enrolled: enrolled.clone(),
                ..mode
            };
            let discover = request(ClientMessageType::Discover, Some(UEFI));
            let (outcome, _) = service.answers(DhcpPort::Dhcp, Ok(discover));
            assert_eq!(outcome_text(&outcome), want, "{name}");
        }
    }
}

fn decide_reason() -> crate::machine::decide::Reason {
    crate::machine::decide::Reason::State(State::Installed)
}

#[test]
fn a_loader_that_is_not_there_is_not_promised() {
    let service = TestService {
        loaders: false,
        ..TestService::proxy()
    };
    let bios = NetbootRequest {
        arch: Arch::Bios,
        client: BootClient::Pxe,
    };
    let (outcome, _) = service.answers(
        DhcpPort::Dhcp,
        Ok(request(ClientMessageType::Discover, Some(bios))),
    );
    let want = UnansweredReason::LoaderMissing("undionly.kpxe".to_owned());
    assert_eq!(outcome.answers, Err(want));
    let odd = NetbootRequest {
        arch: Arch::Other(12),
        client: BootClient::Pxe,
    };
    let (outcome, _) = service.answers(
        DhcpPort::Dhcp,
        Ok(request(ClientMessageType::Discover, Some(odd))),
    );
    let want = UnansweredReason::NoLoader("Other(12)".to_owned());
    assert_eq!(outcome.answers, Err(want));
}

#[test]
fn an_address_is_offered_once_the_wire_was_asked_and_only_so_many_are_tried() {
    let stranger: Mac = "52:54:00:00:00:66".parse().expect("a MAC");
    let probes = |last: u8| Ok(LeaseAnswer::Probe(ip(last)));
    let discover = || Ok(request(ClientMessageType::Discover, None));
    let service = TestService {
        settled: vec![probes(50), Ok(offer())],
        ..TestService::server()
    };
    let (outcome, needs) = service.answers(DhcpPort::Dhcp, discover());
    assert_eq!(
        needs,
        [
            "lease",
            "probe of 10.77.0.50",
            "lease after Silent(10.77.0.50)"
        ]
    );
    assert_eq!(outcome_text(&outcome), "offered 10.77.0.50");

    let crowded = TestService {
        settled: (50..60).map(probes).collect(),
        wire: Ok(Some(stranger)),
        ..TestService::server()
    };
    let (outcome, needs) = crowded.answers(DhcpPort::Dhcp, discover());
    let asked = needs.iter().filter(|need| need.starts_with("probe"));
    assert_eq!(asked.count(), PROBES);
    assert!(
        needs.last().is_some_and(|need| need.starts_with("lease")),
        "the last answer of the wire reaches the rules: {needs:?}"
    );
    let want = UnansweredReason::Lease(SilenceReason::FreeAddressesInUse(PROBES));
    assert_eq!(outcome.answers, Err(want));

    let unplugged = TestService {
        wire: Err("Network is down".to_owned()),
        ..crowded
    };
    let (outcome, _) = unplugged.answers(DhcpPort::Dhcp, discover());
    let want = UnansweredReason::Lease(SilenceReason::ProbeFailed {
        address: ip(50),
        error: "Network is down".to_owned(),
    });
    assert_eq!(outcome.answers, Err(want));
}

#[test]
fn what_the_lease_rules_refuse_is_the_outcome() {
    for (name, settled, want) in [
        (
            "silence",
            Ok(LeaseAnswer::Silence(SilenceReason::NoLeaseKnown)),
            UnansweredReason::Lease(SilenceReason::NoLeaseKnown),
        ),
        (
            "a lease that could not be written down",
            Err(full_disk()),
            UnansweredReason::Refused(full_disk()),
        ),
    ] {
        let service = TestService {
            settled: vec![settled],
            ..TestService::server()
        };
        let (outcome, _) = service.answers(
            DhcpPort::Dhcp,
            Ok(request(ClientMessageType::Request, None)),
        );
        assert_eq!(outcome.answers, Err(want), "{name}");
    }
}

#[test]
fn the_appliances_own_packets_are_not_answered() {
    for service in [TestService::proxy(), TestService::server()] {
        let discover = Ok(request(ClientMessageType::Discover, Some(UEFI)));
        let (outcome, needs) = service.answers_with(DhcpPort::Dhcp, discover, &[mac(0x56)]);
        assert_eq!(outcome.answers, Err(UnansweredReason::Own));
        assert!(needs.is_empty());
        let marks: Vec<BootEvent> = outcome.marks().collect();
        let asked = BootEvent::Discover {
            client: BootClient::Pxe,
            arch: Arch::X64,
        };
        assert_eq!(marks, [asked], "no silence of ours");
    }
}

#[test]
fn a_rom_that_wants_address_and_file_apart_gets_two_answers_and_one_line() {
    let address = address();
    let site = site();
    let question = PacketContext {
        request: Ok(request(ClientMessageType::Discover, Some(UEFI))),
        door: DhcpPort::Dhcp,
        address: &address,
        site: Some(&site),
        own: &[],
    };
    let mut known = KnownFacts::new(false);
    known.decided(Ok(Decision::Install));
    known.tries(BootMethod {
        form: OfferForm::Split,
        loader: Some("snponly.efi".to_owned()),
    });
    known.settled(Ok(offer()), None);
    let outcome = answer(&question, &known).expect("needs nothing more");
    assert_eq!(outcome.answers.as_ref().map(Vec::len), Ok(2));
    assert_eq!(
        outcome.given(),
        "offered 10.77.0.50, offered snponly.efi (in an offer of its own)"
    );
}

#[test]
fn what_is_written_down_says_what_was_asked_and_what_came_of_it() {
    let discover = || Ok(request(ClientMessageType::Discover, Some(UEFI)));
    let asked = BootEvent::Discover {
        client: BootClient::Pxe,
        arch: Arch::X64,
    };
    let (offered, _) = TestService::proxy().answers(DhcpPort::Dhcp, discover());
    let marks: Vec<BootEvent> = offered.marks().collect();
    assert_eq!(marks, std::slice::from_ref(&asked));
    let answer = &offered.answers.as_ref().expect("is answered")[0];
    let given = "offered snponly.efi".to_owned();
    let sent: Result<(), String> = Ok(());
    assert_eq!(
        offered.mark_of(answer, DhcpPort::Dhcp, sent),
        Some(BootEvent::Answered { given })
    );
    assert_eq!(
        offered.mark_of(answer, DhcpPort::Dhcp, Err("the cable is out")),
        Some(BootEvent::Silence {
            why: NoAnswerReason::Trouble,
            reason: "the answer could not be sent: the cable is out".to_owned(),
        })
    );

    let home = TestService {
        decision: Ok(Decision::Disk(decide_reason())),
        ..TestService::proxy()
    };
    let (silent, _) = home.answers(DhcpPort::Dhcp, discover());
    let silence = BootEvent::Silence {
        why: NoAnswerReason::Disk,
        reason: "installed; boots its own disk".to_owned(),
    };
    assert_eq!(silent.marks().collect::<Vec<_>>(), [asked, silence]);

    let (phone, _) = TestService::server().answers(
        DhcpPort::Dhcp,
        Ok(request(ClientMessageType::Discover, None)),
    );
    assert_eq!(phone.marks().count(), 0, "is part of no boot");
    let answer = &phone.answers.as_ref().expect("is answered")[0];
    let sent: Result<(), String> = Ok(());
    assert_eq!(phone.mark_of(answer, DhcpPort::Dhcp, sent), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every packet has an outcome, and none of them a panic.
    #[test]
    fn any_bytes_have_an_outcome(
        kind in 1..=8u8,
        options in proptest::collection::vec(any::<u8>(), 0..600),
        at in 0..300usize,
    ) {
        let mut packet = crate::dhcp::other_servers::discover(mac(0x56), 7, crate::dhcp::other_servers::ProbeAs::Pxe(7));
        packet[242] = kind;
        packet.truncate(at);
        packet.extend(options);
        for service in [TestService::proxy(), TestService::server()] {
            for door in [DhcpPort::Dhcp, DhcpPort::Binl] {
                let (outcome, _) = service.answers(door, request::read(&packet));
                let unreadable = matches!(outcome.answers, Err(UnansweredReason::Unreadable(_)));
                prop_assert_eq!(outcome.mac.is_none(), unreadable);
            }
        }
    }
}

/// An answer without one of its options would be another answer: nobody gets it, and the log says why.
#[test]
fn an_answer_that_cannot_be_written_is_logged_as_trouble() {
    let cause = "encoder checked_add failed".to_owned();
    let why = UnansweredReason::from(reply::AnswerError::Option { code: 12, cause });
    assert!(!why.is_noise());
    let outcome = PacketOutcome {
        mac: Some(mac(0x56)),
        xid: Some(7),
        asked: Some(BootEvent::Asked4011),
        answers: Err(why),
        no_file: None,
    };
    let silence = BootEvent::Silence {
        why: NoAnswerReason::Trouble,
        reason: "option 12 of the answer cannot be written: encoder checked_add failed".to_owned(),
    };
    let marks: Vec<BootEvent> = outcome.marks().collect();
    assert_eq!(marks, [BootEvent::Asked4011, silence]);
}
