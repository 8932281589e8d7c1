//! Installers that are published while a machine is in the middle of its boot, by HTTP and TFTP.

use netboot::api::agent::RequesterIdentity;
use netboot::api::types::InstallerRequest;
use netboot::base::release::FlakeSource;
use netboot::base::token::Digest;
use netboot::publish::installer::{ImageFile, InstallerManifest};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::run::components::Components;
use crate::testing::get;

/// Publishes an installer whose command line and files say which one it is.
async fn publish(components: &Components, arch: &str, number: u32) {
    let mut parts = Vec::new();
    for what in ["kernel", "initrd"] {
        let octets = format!("{what} {number}");
        let part = ImageFile {
            sha256: Digest::new(Sha256::digest(&octets).into()),
            size: octets.len() as u64,
        };
        let receiving = components
            .installers
            .receive(&part.sha256, part.size, None)
            .await;
        let mut receiving = receiving.expect("space");
        receiving.take(octets.as_bytes()).await.expect("takes");
        receiving.finish().await.expect("whole");
        parts.push(part);
    }
    let [kernel, initrd] = parts.try_into().expect("two of them");
    // The first letters are the name that machines see.
    let path = format!("/nix/store/{number:08}{}-installer", "0".repeat(24));
    let request = InstallerRequest {
        path: path.parse().expect("a store path"),
        source: FlakeSource::default(),
        parts: Some(InstallerManifest {
            arch: arch.to_owned(),
            cmdline: format!("init={number}"),
            kernel,
            initrd,
        }),
    };
    let published = components.publisher.installer(request).await;
    assert!(published.expect("publishes").changed, "{number}");
}

/// Where the script says that a file is: what stands behind `before`, up to a blank, `?` or the end of the line.
#[track_caller]
fn place<'a>(script: &'a str, before: &str) -> &'a str {
    let (_, rest) = script
        .split_once(before)
        .unwrap_or_else(|| panic!("no `{before}` in {script}"));
    rest.split([' ', '?', ';', '\n']).next().expect("a place")
}

/// How a loader asks for its files.
#[derive(Debug, Clone, Copy)]
enum Loader {
    Ipxe,
    Grub,
    UBoot,
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_boot_is_of_one_build_whatever_is_published_meanwhile() {
    let mut house = TestConfig::with(&boot(""), &[ARM]);
    house.checked.config.config.images.clear();
    let bound = house.bind().await;
    let (components, stop) = (bound.components().clone(), CancellationToken::new());
    let http = SocketAddr::from((
        components.settings.address().ip,
        components.settings.address().http_port,
    ));
    let serving = tokio::spawn(bound.run(stop.clone()));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let tftp = Tftp::on(
        socket,
        components.tftp.clone(),
        components.settings.segments()[0].clone(),
    )
    .expect("starts");
    let at = tftp.address();
    tokio::spawn(tftp.run(stop.clone()));
    enroll(&components, mac(MAC)).await;
    at_home(&components, mac(MAC));
    let text = |octets: Vec<u8>| String::from_utf8(octets).expect("text");
    let by_tftp = async |name: &str| text(fetch(at, name, &[]).await.expect(name));
    let by_http = async |path: String| text(get(http, &path, "").await.1);

    let mut number = 0;
    for loader in [Loader::Ipxe, Loader::Grub, Loader::UBoot] {
        number += 1;
        publish(&components, "x86_64", number).await;
        let (script, kernel, initrd) = match loader {
            Loader::Ipxe => (
                by_http(format!("/boot.ipxe?mac={MAC}")).await,
                format!("kernel http://{http}"),
                format!("initrd --name initrd http://{http}"),
            ),
            Loader::Grub => (
                by_tftp(&format!("/grub/{MAC}.cfg")).await,
                "linux (tftp,127.0.0.1)".to_owned(),
                "initrd (tftp,127.0.0.1)".to_owned(),
            ),
            Loader::UBoot => (
                by_tftp(&format!("pxelinux.cfg/01-{}", mac(MAC).dashed())).await,
                "KERNEL ".to_owned(),
                "INITRD ".to_owned(),
            ),
        };
        let want = number;
        assert!(script.contains(&format!("init={want}")), "{script}");
        for (what, before) in [("kernel", kernel), ("initrd", initrd)] {
            let place = place(&script, &before);
            let got = match loader {
                Loader::Ipxe => by_http(format!("{place}?mac={MAC}")).await,
                Loader::Grub | Loader::UBoot => by_tftp(place).await,
            };
            assert_eq!(got, format!("{what} {want}"), "{loader:?}");
            // More than one, so that it is not only the one before that stays.
            for _ in 0..2 {
                number += 1;
                publish(&components, "x86_64", number).await;
            }
        }
    }
    // What a machine is told next is the newest.
    let script = by_http(format!("/boot.ipxe?mac={MAC}")).await;
    assert!(script.contains(&format!("init={number}")), "{script}");
    stop.cancel();
    serving.await.expect("no panic").expect("ends well");
}

/// Its files have names of their own: what is published between the first and the last of them is for its next boot.
#[tokio::test(flavor = "multi_thread")]
async fn a_raspberry_pi_boots_the_installer_that_it_began_with() {
    let mut house = TestConfig::with(&boot(""), &[ARM]);
    house.checked.config.config.images.clear();
    let Served {
        components,
        at,
        stop,
        house: _house,
        ..
    } = serving(house).await;
    let guid = b"\0RPi4\x11\x31\xc0\0\x32\0\0\x04\x90\x8f\x7e\x6d";
    let rom: [(u8, &[u8]); 3] = [
        (60, b"PXEClient:Arch:00000:UNDI:002001"),
        (93, &[0, 0]),
        (97, guid),
    ];
    let request = netboot::dhcp::request::read(&packet(DISCOVER, PI, &rom)).expect("reads");
    components
        .boot
        .decisions
        .observe(mac(PI), &request.facts, RequesterIdentity::Verified)
        .await
        .expect("is seen");
    enroll_as(&components, mac(PI), "arm", "pi1").await;
    let mut number = 0;
    for _ in 0..2 {
        number += 1;
        let want = number;
        publish(&components, "aarch64", want).await;
        let files = [
            ("config.txt", "arm_64bit=1".to_owned()),
            ("kernel", format!("kernel {want}")),
            ("cmdline.txt", format!("init={want}")),
            ("initrd", format!("initrd {want}")),
        ];
        for (file, want) in files {
            let got = fetch(at, &format!("6d7e8f90/{file}"), &[]).await;
            let got = String::from_utf8(got.expect(file)).expect("text");
            assert!(got.contains(&want), "{file}: {got}");
            for _ in 0..2 {
                number += 1;
                publish(&components, "aarch64", number).await;
            }
        }
    }
    stop.cancel();
}
