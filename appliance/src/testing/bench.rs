//! A whole appliance without its sockets, for tests: real store, keys and cache in a folder of its own.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use netboot::api::admin;
use netboot::api::agent::{self, RequesterIdentity};
use netboot::base::address::ApplianceAddress;
use netboot::base::mac::Mac;
use netboot::base::timestamp::Timestamp;
use netboot::base::token::Ticket;
use netboot::dhcp::request::Facts;
use netboot::machine::decide::UnknownPolicy;
use netboot::profile::Profiles;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

pub(crate) use super::MAC;
use crate::base::clock;
use crate::config::settings::Settings;
use crate::config::{Config, Dhcp, K3sConfig, Ports, PublishConfig};
use crate::files::loaders::Loaders;
use crate::http::admin::UploadState;
use crate::http::node;
use crate::net::{Lan, Segment};
use crate::publish::FlakeBranch;
use crate::run::components::{Components, StateDir};

pub(crate) const TOPLEVEL: &str =
    "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker-25.05";

/// Always 2026-04-02 10:14:07 UTC.
fn stopped() -> Timestamp {
    Timestamp::from_millis(1_775_124_847_000)
}

/// The appliance, and the folder that goes with it.
pub(crate) struct Bench {
    pub(crate) components: Arc<Components>,
    pub(crate) folder: TempDir,
    profiles: watch::Sender<Arc<Profiles>>,
}

impl Bench {
    /// With profiles `worker` (agent), `server` (server-init) and `plain` (no cluster).
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (components, profiles) = opened(folder.path());
        Self {
            components,
            folder,
            profiles,
        }
    }

    /// All profiles have an encrypted layout from now on.
    pub(crate) fn encrypts(&self) {
        self.profiles.send_replace(Arc::new(profiles("luks-ext4")));
    }

    /// The state of uploads to the cache, as the service opens it.
    pub(crate) fn uploads(&self) -> UploadState {
        uploads(&self.components)
    }

    /// The flake at `reference`, as the one that is followed.
    pub(crate) fn branch(&self, reference: &str) -> FlakeBranch {
        let Components {
            settings,
            installers,
            publisher,
            ..
        } = &*self.components;
        let (installers, publisher) = (installers.clone(), publisher.clone());
        FlakeBranch::new(settings.clone(), installers, publisher, reference)
    }

    /// The firmware asks for something to boot.
    pub(crate) async fn seen(&self, mac: &str) {
        let facts = Facts {
            vendor_class: Some("PXEClient:Arch:00007:UNDI:003001".to_owned()),
            uuid: Some("1b4e28ba-2fa1-11d2-883f-0016d3cca427".to_owned()),
            ..Facts::default()
        };
        let (mac, policy) = (parsed(mac), self.components.settings.config().policy());
        let seen = move |state: &_, now| {
            agent::observe(
                state,
                mac,
                &facts,
                &policy,
                now,
                RequesterIdentity::Verified,
                100,
            )
        };
        self.components.store.decide(seen).await.expect("seen");
    }

    /// The system of a profile is published; without Nix, so the cache stays empty.
    pub(crate) async fn release(&self, system: &str, toplevel: &str) {
        let built = admin::BuiltSystem {
            system: system.parse().expect("a system"),
            toplevel: toplevel.parse().expect("a store path"),
            closure_size: 3 << 30,
            label: "25.05.20260402".to_owned(),
            script: None,
            source: netboot::base::release::FlakeSource::default(),
        };
        let release = move |state: &_, now| admin::release(state, built, now);
        self.components
            .store
            .decide(release)
            .await
            .expect("a release");
    }

    /// Arms a machine without a socket.
    pub(crate) async fn enroll(&self, mac: &str, profile: &str, name: &str) {
        let request = netboot::api::types::EnrollRequest {
            mac: parsed(mac),
            profile: Some(profile.parse().expect("a profile")),
            name: Some(name.parse().expect("a name")),
        };
        let profiles = self.components.settings.profiles();
        let ticket = clock::ticket();
        let enroll = move |state: &_, now| {
            let operator = admin::Operator {
                profiles: &profiles,
                armed_for: Duration::from_secs(24 * 3600),
                now,
                ticket,
                by: "uid 0",
            };
            admin::enroll(state, &operator, &request)
        };
        self.components
            .store
            .decide(enroll)
            .await
            .expect("enrolled");
    }

    /// The machine fetches its boot script: the ticket in it.
    pub(crate) async fn boots(&self, mac: &str) -> Ticket {
        let (mac, policy) = (parsed(mac), self.components.settings.config().policy());
        let ticket = clock::ticket();
        let serve = move |state: &_, now| {
            agent::serve(
                state,
                mac,
                &policy,
                now,
                RequesterIdentity::Verified,
                ticket,
            )
        };
        let (_, ticket) = self
            .components
            .store
            .decide(serve)
            .await
            .expect("served")
            .answer;
        ticket.expect("an installer")
    }

    /// The stranger boots the installer and tells its hardware, with `boot.unknown = "discover"`.
    pub(crate) async fn discovers(&self, mac: &str) {
        let mac = parsed(mac);
        let policy = netboot::machine::decide::Policy {
            unknown: UnknownPolicy::Discover,
            attempts: 3,
        };
        let (ticket, then) = (clock::ticket(), policy.clone());
        let serve = move |state: &_, now| {
            agent::serve(
                state,
                mac,
                &policy,
                now,
                RequesterIdentity::Verified,
                ticket,
            )
        };
        self.components.store.decide(serve).await.expect("served");
        let hardware = serde_json::from_value(hardware()).expect("hardware");
        let tell = move |state: &_, now| {
            agent::discovered(state, mac, &hardware, &then, now, "10.77.0.50")
        };
        self.components.store.decide(tell).await.expect("told");
    }

    /// k3s says that the node is Ready.
    pub(crate) async fn joins(&self, mac: &str) {
        let mac = parsed(mac);
        let joined = move |state: &_, _| agent::joined(state, mac, BOOT_ID);
        self.components.store.decide(joined).await.expect("joined");
    }
}

/// The state of uploads to the cache, as the service opens it.
pub(crate) fn uploads(components: &Components) -> UploadState {
    let Components {
        cache,
        keys,
        counters,
        ..
    } = components;
    UploadState::open(cache.clone(), keys.clone(), counters.clone()).expect("opens")
}

/// The appliance alone, in a folder that may have been one before.
pub(crate) fn opened(state_dir: &Path) -> (Arc<Components>, watch::Sender<Arc<Profiles>>) {
    let k3s = K3sConfig {
        server: Some("https://10.77.0.10:6443".to_owned()),
        ..K3sConfig::default()
    };
    let config = config(state_dir, k3s);
    let state_dir = StateDir::open(&config, stopped).expect("a state directory");
    let segment = Segment {
        lan: config.lans[0].clone(),
        address: ApplianceAddress {
            ip: Ipv4Addr::new(10, 77, 0, 1),
            http_port: 8080,
            node_port: 8443,
            pin: state_dir.keys.pin().to_owned(),
        },
    };
    let (sender, profiles) = watch::channel(Arc::new(profiles("ext4")));
    let settings = Settings::new(config, vec![Arc::new(segment)], profiles);
    let components = Components::new(settings, state_dir, Loaders::default(), Arc::default());
    (Arc::new(components), sender)
}

fn parsed(mac: &str) -> Mac {
    mac.parse().expect("a MAC")
}

fn profiles(layout: &str) -> Profiles {
    let file = |name: &str, role: &str| {
        let text = format!(
            "system = \"x86_64-linux\"\n[disk]\nselect = {{ smallest = true }}\nlayout = \"{layout}\"\n{role}"
        );
        (format!("hosts/profiles/{name}.toml"), text)
    };
    let files = [
        file("worker", "[k3s]\nrole = \"agent\"\n"),
        file("server", "[k3s]\nrole = \"server-init\"\n"),
        file("plain", "[k3s]\nrole = \"none\"\n"),
    ];
    Profiles::read(&files).expect("good profiles")
}

fn config(state_dir: &Path, k3s: K3sConfig) -> Config {
    Config {
        state_dir: state_dir.to_owned(),
        hosts_dir: "hosts/profiles".into(),
        flake: None,
        lans: vec![Lan {
            interface: "lo".to_owned(),
            address: Ipv4Addr::LOCALHOST,
            netmask: Ipv4Addr::new(255, 0, 0, 0),
            mac: None,
            wireless: false,
            default_route: false,
            why: "the test says so".to_owned(),
        }],
        ports: Ports::default(),
        dhcp: Dhcp::Off,
        share_port: false,
        allow_second_server: false,
        unknown: UnknownPolicy::Ignore,
        attempts: 3,
        armed_for: Duration::from_secs(24 * 3600),
        ipxe_dir: "/nowhere".into(),
        grub_dir: "/nowhere".into(),
        raspberry_pi_dir: None,
        http_port: 0,
        node_port: 0,
        admin_socket: state_dir.join("admin.sock"),
        admin_listen: None,
        images: Vec::new(),
        k3s,
        publish: PublishConfig::default(),
    }
}

/// What an agent finds in a small virtual machine.
pub(crate) fn hardware() -> Value {
    json!({
        "firmware": "uefi", "arch": "x86_64", "memory": 2_147_483_648_u64,
        "vendor": "QEMU", "product": "Standard PC (Q35 + ICH9, 2009)",
        "uuid": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "disks": [{
            "node": "vda", "size": 21_474_836_480_u64, "sector": 512, "bus": "virtio",
            "serial": "root", "by_id": ["virtio-root"],
            "holds": [{"node": "vda1", "size": 1_048_576, "kind": "ext4", "label": "old"}],
        }],
        "nics": [{"name": "eth0", "mac": MAC, "link": true}],
    })
}

/// `POST path` with a body and perhaps a bearer: status and JSON of the answer.
pub(crate) async fn post(
    router: &Router,
    path: &str,
    bearer: Option<&str>,
    body: impl Into<Body>,
) -> (u16, Value) {
    let mut request = Request::post(path);
    if let Some(bearer) = bearer {
        request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
    }
    let request = request.body(body.into()).expect("a request");
    send(router, request).await
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> (u16, Value) {
    let response = router.clone().oneshot(request).await.expect("an answer");
    let status = response.status().as_u16();
    let octets = to_bytes(response.into_body(), 1 << 24)
        .await
        .expect("a body");
    (
        status,
        serde_json::from_slice(&octets).unwrap_or(Value::Null),
    )
}

/// An agent, as far as its calls go.
pub(crate) struct Agent {
    pub(crate) router: Router,
    pub(crate) session: String,
    pub(crate) key: age::x25519::Identity,
    number: u64,
    planned: bool,
}

impl Agent {
    /// Claims the ticket.
    pub(crate) async fn claims(bench: &Bench, ticket: &Ticket) -> Self {
        let octets: [u8; 32] = clock::random();
        let agent = Self {
            router: node::router(
                bench.components.node.clone(),
                bench.components.settings.segments()[0].clone(),
            ),
            session: hex::encode(octets),
            key: age::x25519::Identity::generate(),
            number: 0,
            planned: false,
        };
        let claim = json!({"ticket": ticket, "session": agent.session,
            "recipient": agent.key.to_public().to_string()});
        let (status, answer) = post(&agent.router, "/node/v1/claim", None, claim.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        agent
    }

    pub(crate) async fn call(&self, path: &str, body: &Value) -> (u16, Value) {
        post(&self.router, path, Some(&self.session), body.to_string()).await
    }

    pub(crate) async fn plans(&mut self) -> (u16, Value) {
        self.planned = true;
        self.call("/node/v1/plan", &json!({"hardware": hardware()}))
            .await
    }

    pub(crate) async fn reports(&mut self, step: &str, outcome: Value) -> (u16, Value) {
        self.number += 1;
        let report = json!({"number": self.number, "step": step, "outcome": outcome});
        self.call("/node/v1/report", &report).await
    }

    /// Formats encrypted disks: what it was handed for that.
    pub(crate) async fn formats(&mut self) -> Value {
        self.plans().await;
        self.reports("format", json!({"kind": "started"})).await;
        let (status, answer) = self.call("/node/v1/disk-key", &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        let (_, again) = self.call("/node/v1/disk-key", &Value::Null).await;
        assert_eq!(answer, again, "a retry gets the same ciphertext");
        self.opens(answer["sealed"].as_str().expect("a ciphertext"))
    }

    /// Goes through to the end; the node key that the installed system keeps.
    pub(crate) async fn installs(&mut self) -> String {
        if !self.planned {
            let (status, answer) = self.plans().await;
            assert_eq!(status, 200, "{answer}");
        }
        let steps: &[&str] = if self.number == 0 {
            &["copy", "configure"]
        } else {
            &["configure"]
        };
        for step in steps {
            let (status, answer) = self.reports(step, json!({"kind": "started"})).await;
            assert_eq!(status, 200, "{answer}");
        }
        let secrets = self.secrets().await;
        for step in ["configure", "boot-loader", "unmount"] {
            let (status, answer) = self.reports(step, json!({"kind": "done"})).await;
            assert_eq!(status, 200, "{answer}");
        }
        let installed = json!({"generation": 1, "store_path": TOPLEVEL,
            "label": "25.05.20260402", "ssh_host_key": "ssh-ed25519 AAAAC3Nz"});
        let (status, answer) = self.call("/node/v1/installed", &installed).await;
        assert_eq!(status, 200, "{answer}");
        secrets["node_key"].as_str().expect("a node key").to_owned()
    }

    /// Asks for its secrets, opens them, says so.
    pub(crate) async fn secrets(&self) -> Value {
        let (status, answer) = self.call("/node/v1/secrets", &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        let opened = self.opens(answer["sealed"].as_str().expect("a ciphertext"));
        let (status, answer) = self.call("/node/v1/secrets/received", &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        opened
    }

    pub(crate) fn opens(&self, sealed: &str) -> Value {
        use base64::Engine;

        let file = base64::engine::general_purpose::STANDARD
            .decode(sealed)
            .expect("base64");
        let decryptor = age::Decryptor::new(file.as_slice()).expect("an age file");
        let keys = std::iter::once(&self.key as &dyn age::Identity);
        let reader = decryptor.decrypt(keys).expect("sealed to this key");
        serde_json::from_reader(reader).expect("JSON")
    }
}

const BOOT_ID: &str = "7d5f7a7e-0a0f-4c58-8b5f-3f4f5d1f7c11";

/// The installed system says that it runs.
pub(crate) async fn node_boots(bench: &Bench, key: &str, name: &str) -> (u16, Value) {
    let boot = json!({"name": name, "generation": 1, "store_path": TOPLEVEL,
        "label": "25.05.20260402", "kernel": "6.12.21",
        "boot_id": BOOT_ID});
    let router = node::router(
        bench.components.node.clone(),
        bench.components.settings.segments()[0].clone(),
    );
    post(&router, "/node/v1/boot", Some(key), boot.to_string()).await
}
