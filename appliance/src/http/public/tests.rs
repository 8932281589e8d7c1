//! The open port on loopback, through real connections.

use std::net::SocketAddr;

use netboot::api::agent::RequesterIdentity;
use netboot::dhcp::request::Facts;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::run::components::Components;
use crate::testing::{
    CANARY, KERNEL, MAC, STRANGER, TestConfig, at_home, boot, enroll, get, http, mac, wait_until,
};

struct Served {
    house: TestConfig,
    components: Arc<Components>,
    at: SocketAddr,
    stop: CancellationToken,
    _serving: JoinHandle<anyhow::Result<()>>,
}

async fn served(more: &str) -> Served {
    let house = TestConfig::new(more);
    let bound = house.bind().await;
    let components = bound.components().clone();
    let at = SocketAddr::from((
        components.settings.address().ip,
        components.settings.address().http_port,
    ));
    let stop = CancellationToken::new();
    let _serving = tokio::spawn(bound.run(stop.clone()));
    Served {
        house,
        components,
        at,
        stop,
        _serving,
    }
}

#[track_caller]
fn text(answer: &(String, Vec<u8>), status: u16) -> String {
    let (head, body) = answer;
    let body = String::from_utf8_lossy(body).into_owned();
    assert!(
        head.starts_with(&format!("http/1.1 {status} ")),
        "{head}{body}"
    );
    body
}

const KERNEL_PATH: &str = "/images/installer/x86_64/kernel?mac=52:54:00:12:34:56";

#[tokio::test]
async fn a_boot_from_script_to_image() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    at_home(&components, mac(MAC));
    let mut live = components.store.live();

    let asked = "&uuid=a1b2c3d4-0000-1111-2222-333344445555&serial=PF2&arch=x86_64&platform=efi";
    let answer = get(at, &format!("/boot.ipxe?mac={MAC}{asked}"), "").await;
    let script = text(&answer, 200);
    assert!(
        answer
            .0
            .contains(&format!("content-length: {}", script.len())),
        "{}",
        answer.0
    );
    assert!(
        answer.0.contains("content-type: text/plain"),
        "{}",
        answer.0
    );
    assert!(
        script.starts_with("#!ipxe\n") && script.contains("netboot.ticket="),
        "{script}"
    );
    // Within one boot, it is the same ticket.
    let again = text(&get(at, &format!("/boot.ipxe?mac={MAC}"), "").await, 200);
    assert_eq!(script, again);

    let facts = components
        .store
        .state()
        .by_mac(mac(MAC))
        .expect("is there")
        .facts
        .clone();
    assert_eq!(facts.serial.as_deref(), Some("PF2"));

    let (head, body) = get(at, KERNEL_PATH, "").await;
    assert!(
        head.contains(&format!("content-length: {KERNEL}")),
        "{head}"
    );
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert_eq!(body.len(), KERNEL);
    assert!(body.iter().zip((0..=250).cycle()).all(|(a, b)| *a == b));
    wait_until("it is told", Duration::from_secs(5), || {
        let mut told = String::new();
        while let Ok(line) = live.try_recv() {
            told += &serde_json::to_string(&line).expect("writes");
        }
        told.contains(
            r#""mark":"sent","part":"kernel","file":"kernel","via":"http","bytes":16777216"#,
        )
    })
    .await;
    stop.cancel();
}

/// What others read in its name is no boot of it; what follows its own question is, also where its address is not known.
#[tokio::test]
async fn an_attempt_is_counted_for_the_machine_and_for_nobody_else() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    let script = format!("/boot.ipxe?mac={MAC}");
    let served = || {
        let state = components.store.state();
        let attempt = state.by_mac(mac(MAC)).and_then(|m| m.attempt.clone());
        attempt.is_some_and(|a| a.served.is_some())
    };
    let somebodys = text(&get(at, &script, "").await, 200);
    assert!(!served(), "somebody's is not");
    components.boot.log.mark(
        mac(MAC),
        netboot::doctor::boot_trace::BootEvent::Discover {
            client: netboot::dhcp::request::BootClient::Ipxe,
            arch: netboot::base::arch::Arch::X64,
        },
    );
    let its_own = text(&get(at, &script, "").await, 200);
    assert!(served(), "its own is");
    assert_eq!(its_own, somebodys, "the same ticket");
    stop.cancel();
}

/// Anybody can write a MAC into a URL: it is noted as somebody's, and does not change what is known of the machine.
#[tokio::test]
async fn what_others_fetch_in_a_machines_name_is_not_its_own_doing() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    let uefi = netboot::dhcp::request::NetbootRequest {
        arch: netboot::base::arch::Arch::X64,
        client: netboot::dhcp::request::BootClient::Pxe,
    };
    let names = ["snponly.efi"];
    let forms = netboot::dhcp::offer_fallback::OfferForm::all(uefi, false);
    let now = crate::base::clock::now();
    components.boot.loaders.attempts(|loader_attempts| {
        drop(loader_attempts.discover(mac(MAC), uefi, None, forms, &names, now));
    });
    let loader = format!("/loaders/snponly.efi?mac={MAC}");
    let script = format!("/boot.ipxe?mac={MAC}&serial=6d7e8f90");
    for _ in 0..3 {
        for path in [loader.as_str(), &script, KERNEL_PATH] {
            text(&get(at, path, "").await, 200);
        }
    }
    let notes = components.boot.log.marks_of(&[mac(MAC)]);
    let marks: Vec<_> = notes.iter().map(|n| (n.mark.clone(), n.times)).collect();
    let somebody = |file: &str| {
        let (from, file) = (std::net::Ipv4Addr::LOCALHOST, file.to_owned());
        (
            netboot::doctor::boot_trace::BootEvent::Unproven { from, file },
            3,
        )
    };
    let want = ["snponly.efi", "boot script", "kernel"].map(somebody);
    assert_eq!(marks, want);
    let state = components.store.state();
    let machine = state.by_mac(mac(MAC)).expect("is on record");
    assert_eq!(machine.facts, Facts::default());
    assert_eq!(
        machine.boot_method, None,
        "nobody knows what gets it to its script"
    );
    assert_eq!(
        components
            .boot
            .loaders
            .attempts(|loader_attempts| loader_attempts.arrived(mac(MAC))),
        None
    );
    stop.cancel();
}

#[tokio::test]
async fn files_have_heads_and_ranges() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    let head = |path: &str| format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

    let (answer, body) = http(at, &head(KERNEL_PATH)).await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(
        answer.contains(&format!("content-length: {KERNEL}")),
        "{answer}"
    );
    assert!(body.is_empty());

    let (answer, body) = get(at, KERNEL_PATH, "Range: bytes=251-260\r\n").await;
    assert!(answer.starts_with("http/1.1 206"), "{answer}");
    assert!(
        answer.contains(&format!("content-range: bytes 251-260/{KERNEL}")),
        "{answer}"
    );
    assert_eq!(body, (0..10).collect::<Vec<u8>>());

    let beyond = format!("Range: bytes={KERNEL}-\r\n");
    let (answer, _) = get(at, KERNEL_PATH, &beyond).await;
    assert!(answer.starts_with("http/1.1 416"), "{answer}");

    let loader = format!("/loaders/snponly.efi?mac={MAC}");
    let (answer, body) = http(at, &head(&loader)).await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(answer.contains("content-length: 290001"), "{answer}");
    assert!(body.is_empty());
    assert_eq!(get(at, &loader, "").await.1.len(), 290_001);

    // As EDK2's HTTP boot asks: by the folder, the size first.
    let own = format!("/loaders/{}/snponly.efi", mac(MAC).dashed());
    let (answer, body) = http(at, &head(&own)).await;
    assert!(answer.contains("content-length: 290001"), "{answer}");
    assert!(answer.contains("content-type: application/efi"), "{answer}");
    assert!(body.is_empty());
    assert_eq!(get(at, &own, "").await.1.len(), 290_001);
    let spelled = get(at, &own.replace("52-54", "52:54"), "").await;
    text(&spelled, 404);

    // A HEAD for the script would hand out the ticket.
    let (answer, _) = http(at, &head(&format!("/boot.ipxe?mac={MAC}"))).await;
    assert!(answer.starts_with("http/1.1 404"), "{answer}");
    let state = components.store.state();
    let attempt = state.by_mac(mac(MAC)).and_then(|m| m.attempt.clone());
    assert!(attempt.is_none_or(|a| a.served.is_none()));
    stop.cancel();
}

#[tokio::test]
async fn who_is_not_to_install_gets_no_image_and_a_script_that_says_so() {
    let Served {
        at,
        stop,
        components,
        house: _house,
        ..
    } = served(&boot("")).await;
    for who in [STRANGER, MAC] {
        let script = text(&get(at, &format!("/boot.ipxe?mac={who}"), "").await, 200);
        assert!(
            script.contains("echo Nothing to install: not enrolled."),
            "{script}"
        );
        assert!(!script.contains("ticket"), "{script}");
        let own = format!("/loaders/{}/snponly.efi", mac(who).dashed());
        text(&get(at, &own, "").await, 403);
        for path in ["images/installer/x86_64/kernel", "loaders/snponly.efi"] {
            let body = text(&get(at, &format!("/{path}?mac={who}"), "").await, 403);
            assert!(body.contains("not enrolled"), "{body}");
        }
    }
    assert!(components.counters.http_bytes.get() < KERNEL as u64);
    stop.cancel();
}

#[tokio::test]
async fn a_stranger_may_be_told_to_wait() {
    let Served {
        at,
        stop,
        house: _house,
        ..
    } = served(&boot("unknown = \"wait\"")).await;
    let script = text(
        &get(at, &format!("/boot.ipxe?mac={STRANGER}"), "").await,
        200,
    );
    assert!(
        script.contains(&format!("pxe-admin enroll {STRANGER}")),
        "{script}"
    );
    let loader = get(at, &format!("/loaders/snponly.efi?mac={STRANGER}"), "").await;
    assert!(loader.0.starts_with("http/1.1 200"), "{}", loader.0);
    let image = format!("/images/installer/x86_64/kernel?mac={STRANGER}");
    text(&get(at, &image, "").await, 403);
    stop.cancel();
}

#[tokio::test]
async fn a_stranger_may_be_asked_what_it_is_and_gets_no_ticket() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served(&boot("unknown = \"discover\"")).await;
    let (nothing, itself) = (Facts::default(), RequesterIdentity::Verified);
    let seen = components
        .boot
        .decisions
        .observe(mac(STRANGER), &nothing, itself)
        .await;
    seen.expect("is seen");
    at_home(&components, mac(STRANGER));
    let asks = async || {
        text(
            &get(at, &format!("/boot.ipxe?mac={STRANGER}"), "").await,
            200,
        )
    };
    let script = asks().await;
    assert!(
        script.contains(&format!("netboot.discover={STRANGER}")) && !script.contains("ticket"),
        "{script}"
    );
    assert_eq!(asks().await, script, "within one boot");
    for path in ["images/installer/x86_64/kernel", "loaders/snponly.efi"] {
        let got = get(at, &format!("/{path}?mac={STRANGER}"), "").await;
        assert!(got.0.starts_with("http/1.1 200"), "{path}: {}", got.0);
    }
    let arm = format!("/images/installer/aarch64/kernel?mac={STRANGER}");
    text(&get(at, &arm, "").await, 404);

    let hardware: netboot::disk::hardware::Hardware =
        serde_json::from_value(crate::testing::bench::hardware()).expect("reads");
    let (policy, who) = (components.settings.config().policy(), mac(STRANGER));
    let tell = move |state: &netboot::machine::state::ApplianceState, now| {
        netboot::api::agent::discovered(state, who, &hardware, &policy, now, "127.0.0.1")
    };
    components.store.decide(tell).await.expect("is taken");
    let script = asks().await;
    assert!(
        script.contains("its hardware is known; boots its own disk"),
        "{script}"
    );
    let kernel = format!("/images/installer/x86_64/kernel?mac={STRANGER}");
    text(&get(at, &kernel, "").await, 403);
    stop.cancel();
}

#[tokio::test]
async fn without_an_image_for_its_architecture_no_attempt_is_counted() {
    let mut house = TestConfig::new(&boot(""));
    house.checked.config.config.images.clear();
    let bound = house.bind().await;
    let components = bound.components().clone();
    enroll(&components, mac(MAC)).await;
    let at = SocketAddr::from((
        components.settings.address().ip,
        components.settings.address().http_port,
    ));
    let stop = CancellationToken::new();
    let running = tokio::spawn(bound.run(stop.clone()));
    let before = components.store.state();
    let script = text(&get(at, &format!("/boot.ipxe?mac={MAC}"), "").await, 200);
    assert!(
        script.contains("no installer image for x86_64 is configured"),
        "{script}"
    );
    assert_eq!(components.store.state(), before);
    stop.cancel();
    running.await.expect("ends").expect("ends well");
}

#[tokio::test]
async fn hostile_queries_reach_no_script() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    for (name, query, status) in [
        ("no machine", "", 400),
        ("half a machine", "mac=52:54", 400),
        ("a group address", "mac=01:00:5e:00:00:01", 400),
        (
            "a script for a machine",
            "mac=52:54:00:12:34:56%0a%23!ipxe%0ashell",
            400,
        ),
        (
            "two machines",
            "mac=52:54:00:12:34:56&mac=52:54:00:99:99:99",
            400,
        ),
        (
            "a script for a serial",
            "mac=52:54:00:12:34:56&serial=a%0a%23!ipxe%0apoweroff",
            200,
        ),
        (
            "a script for a uuid",
            "mac=52:54:00:12:34:56&uuid=%24%7Bx%7D%0apoweroff",
            200,
        ),
        (
            "a script for an arch",
            "mac=52:54:00:12:34:56&arch=%0apoweroff&platform=poweroff",
            200,
        ),
        ("no UTF-8", "mac=52:54:00:12:34:56&serial=%ff%fe", 200),
    ] {
        let body = text(&get(at, &format!("/boot.ipxe?{query}"), "").await, status);
        assert!(
            !body.contains("poweroff") && !body.contains("shell\n"),
            "{name}: {body}"
        );
        if status == 400 {
            assert!(body.starts_with("{\"error\":"), "{name}: {body}");
        }
    }
    stop.cancel();
}

/// Raw, encoded, doubly encoded; for all four kinds of file.
#[tokio::test]
async fn hostile_paths_lead_nowhere() {
    let Served {
        components,
        at,
        stop,
        house,
        ..
    } = served(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    std::fs::write(house.path().join("state/cache/.hidden"), CANARY).expect("writes");
    let link = house.path().join("state/cache/link.narinfo");
    std::os::unix::fs::symlink(house.path().join("secret"), link).expect("links");
    let ways = [
        "../secret",
        "../../secret",
        "../../../../../../etc/passwd",
        "..%2fsecret",
        "..%2f..%2fsecret",
        "%2e%2e/secret",
        "%2e%2e%2fsecret",
        "%2e%2e%2f%2e%2e%2fsecret",
        "%252e%252e%252fsecret",
        "..%5csecret",
        "..\\secret",
        "....//secret",
        "./secret",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "%00",
        "secret%00.narinfo",
        ".hidden",
        "%2ehidden",
        "link.narinfo",
        "nar/../../secret",
        "secret",
        "%ff%fe",
        "~root/.ssh/id_rsa",
    ];
    for folder in [
        "/cache/",
        "/loaders/",
        "/images/",
        "/images/installer/",
        "/images/installer/x86_64/",
        "/",
    ] {
        for way in ways {
            let path = format!("{folder}{way}?mac={MAC}");
            let (head, body) = get(at, &path, "").await;
            let body = String::from_utf8_lossy(&body).into_owned();
            assert!(
                !body.contains(CANARY) && !body.contains("root:"),
                "{path}: {body}"
            );
            assert!(!head.starts_with("http/1.1 2"), "{path}: {head}");
            assert!(!head.starts_with("http/1.1 5"), "{path}: {head}");
        }
    }
    stop.cancel();
}

#[tokio::test]
async fn monitors_and_people_can_look() {
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = served(&boot("")).await;
    enroll(&components, mac(MAC)).await;
    let health = text(&get(at, "/healthz", "").await, 200);
    let health: netboot::api::types::Health = serde_json::from_str(&health).expect("reads");
    assert_eq!((health.status.as_str(), health.store), ("ok", None));
    let metrics = text(&get(at, "/metrics", "").await, 200);
    assert!(
        metrics.contains("pxe_machines{state=\"enrolled\"} 1\n"),
        "{metrics}"
    );
    let page = get(at, "/", "").await;
    assert!(
        page.0
            .contains("content-security-policy: default-src 'none'"),
        "{}",
        page.0
    );
    let page = text(&page, 200);
    assert!(
        page.contains("<td>node1</td>") && page.contains(MAC),
        "{page}"
    );
    for method in ["POST", "PUT", "DELETE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (head, _) = http(at, &request).await;
        assert!(head.starts_with("http/1.1 404"), "{method}: {head}");
    }
    let large = "POST /boot.ipxe HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n";
    let (head, _) = http(at, large).await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
    stop.cancel();
}
