//! The server on loopback, against a client that speaks RFC 1350 by hand.

use tokio::net::UdpSocket as Client;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{House, MAC, STRANGER, boot, enroll, mac, wait_until};

const LIMIT: Duration = Duration::from_secs(10);

struct Served {
    house: House,
    app: Arc<App>,
    at: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), async_tftp::Error>>,
}

async fn served() -> Served {
    let house = House::new(&boot(""));
    let app = house.bind().await.app().clone();
    enroll(&app, mac(MAC)).await;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let tftp = Tftp::on(socket, app.clone()).await.expect("starts");
    let at = tftp.address().expect("an address");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(tftp.run(stop.clone()));
    Served {
        house,
        app,
        at,
        stop,
        serving,
    }
}

fn ask(opcode: u8, name: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0, opcode];
    for text in [name, "octet"] {
        packet.extend(text.as_bytes());
        packet.push(0);
    }
    for (option, value) in options {
        packet.extend([option.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    packet
}

async fn receive(client: &Client) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 70_000];
    let received = tokio::time::timeout(LIMIT, client.recv_from(&mut buffer)).await;
    let (length, from) = received.expect("an answer in time").expect("receives");
    buffer.truncate(length);
    (buffer, from)
}

/// The file, or the number of the error.
async fn fetch(at: SocketAddr, name: &str, options: &[(&str, &str)]) -> Result<Vec<u8>, u8> {
    let client = Client::bind("127.0.0.1:0").await.expect("binds");
    client
        .send_to(&ask(1, name, options), at)
        .await
        .expect("sends");
    let (mut file, mut block) = (Vec::new(), 512);
    let mut wanted: u16 = 1;
    loop {
        let (packet, from) = receive(&client).await;
        match packet[..2] {
            [0, 5] => return Err(packet[3]),
            [0, 6] => {
                let text = String::from_utf8_lossy(&packet[2..]).into_owned();
                let mut words = text.split('\0');
                while let (Some(option), Some(value)) = (words.next(), words.next()) {
                    if option == "blksize" {
                        block = value.parse().expect("a number");
                    }
                }
                client.send_to(&[0, 4, 0, 0], from).await.expect("sends");
            }
            [0, 3] => {
                let number = u16::from_be_bytes([packet[2], packet[3]]);
                if number == wanted {
                    file.extend(&packet[4..]);
                    wanted += 1;
                    let ack = [&[0, 4][..], &number.to_be_bytes()].concat();
                    client.send_to(&ack, from).await.expect("sends");
                    if packet.len() < block + 4 {
                        return Ok(file);
                    }
                }
            }
            _ => panic!("{packet:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_armed_machine_gets_its_loader_whole() {
    let Served {
        house,
        app,
        at,
        stop,
        serving,
    } = served().await;
    let want = std::fs::read(house.path().join("ipxe/snponly.efi")).expect("reads");
    let dashed = mac(MAC).dashed();
    let mut live = app.store.live();
    for (name, path, options) in [
        ("plain", format!("{dashed}/snponly.efi"), &[][..]),
        (
            "as EDK2 asks",
            format!("{dashed}/snponly.efi"),
            &[("tsize", "0"), ("blksize", "1468")][..],
        ),
        ("as WDS asks", format!("\\{dashed}\\snponly.efi"), &[][..]),
    ] {
        let got = fetch(at, &path, options).await;
        assert_eq!(got.as_deref(), Ok(want.as_slice()), "{name}");
    }
    wait_until("three sent", LIMIT, || app.counters.tftp_sent.get() == 3).await;
    let told = live.recv().await.expect("is told");
    let told = serde_json::to_string(&told).expect("writes");
    assert!(told.contains("sent snponly.efi (283 KiB in "), "{told}");

    stop.cancel();
    serving.await.expect("ends").expect("ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_else_is_told_that_there_is_nothing() {
    let Served {
        app,
        at,
        stop,
        house: _house,
        ..
    } = served().await;
    let (armed, stranger) = (mac(MAC).dashed(), mac(STRANGER).dashed());
    for (name, path) in [
        ("a stranger", format!("{stranger}/snponly.efi")),
        ("nobody's folder", "snponly.efi".to_owned()),
        ("a loader that is not there", format!("{armed}/ipxe.efi")),
        ("a file beside the loaders", format!("{armed}/secret")),
        ("out of the folder", format!("{armed}/../secret")),
        (
            "far out of the folder",
            format!("{armed}/../../../../etc/passwd"),
        ),
        ("backslashes", format!("{armed}\\..\\secret")),
        ("a long name", format!("{armed}/{}", "x".repeat(3000))),
        ("grub's probes", "grub/x86_64-efi/command.lst".to_owned()),
    ] {
        assert_eq!(fetch(at, &path, &[]).await, Err(1), "{name}");
    }
    assert_eq!(app.counters.tftp_sent.get(), 0);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes() {
    let Served {
        at, stop, house, ..
    } = served().await;
    let client = Client::bind("127.0.0.1:0").await.expect("binds");
    let name = format!("{}/snponly.efi", mac(MAC).dashed());
    client
        .send_to(&ask(2, &name, &[]), at)
        .await
        .expect("sends");
    let (packet, _) = receive(&client).await;
    assert_eq!(packet[..4], [0, 5, 0, 4], "illegal operation");
    let there = std::fs::read(house.path().join("ipxe/snponly.efi")).expect("reads");
    assert_eq!(there.len(), 290_001);
    stop.cancel();
}

/// A block of 64 KiB is no frame, and a window of 65 535 of them is a flood that one packet sets off.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_may_ask_for_has_a_limit() {
    let Served {
        at,
        stop,
        house: _house,
        ..
    } = served().await;
    let client = Client::bind("127.0.0.1:0").await.expect("binds");
    let name = format!("{}/snponly.efi", mac(MAC).dashed());
    let options = [
        ("blksize", "65464"),
        ("windowsize", "65535"),
        ("timeout", "255"),
    ];
    client
        .send_to(&ask(1, &name, &options), at)
        .await
        .expect("sends");
    let (packet, _) = receive(&client).await;
    let text = String::from_utf8_lossy(&packet).into_owned();
    assert!(text.contains("blksize\x001468\0"), "{text:?}");
    assert!(text.contains("windowsize\x0016\0"), "{text:?}");
    assert!(!text.contains("timeout"), "{text:?}");
    stop.cancel();
}

/// EDK2 asks for the size, breaks off with an error, and asks again.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_of_the_size_is_no_transfer() {
    let Served {
        app,
        at,
        stop,
        house: _house,
        ..
    } = served().await;
    let client = Client::bind("127.0.0.1:0").await.expect("binds");
    let name = format!("{}/snponly.efi", mac(MAC).dashed());
    let probe = ask(1, &name, &[("tsize", "0")]);
    client.send_to(&probe, at).await.expect("sends");
    let (packet, from) = receive(&client).await;
    assert!(String::from_utf8_lossy(&packet).contains("tsize\x00290001\0"));
    client
        .send_to(b"\0\x05\0\x08aborted\0", from)
        .await
        .expect("sends");
    let got = fetch(at, &name, &[("blksize", "1468")]).await;
    assert_eq!(got.map(|f| f.len()), Ok(290_001));
    wait_until("one sent", LIMIT, || app.counters.tftp_sent.get() == 1).await;
    stop.cancel();
}
