//! The calls of agents and nodes, and what they leave on disks for the system that is installed.

use netboot::api::types::{
    BootRequest, ClaimAnswer, ClaimRequest, DiscoveredRequest, DiskSecrets, ErrorBody, Health,
    InstallSecrets, InstalledRequest, K3sSecrets, NodeIdentity, PlanRequest, SealedAnswer,
    UnlockRequest, UnlockSecrets, UnlockToken,
};
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::profile::Role;

use crate::golden::{both, check, sample};
use crate::samples::{entry, hardware, host, list, mac, path, some, text, texts, ticket};

const HEX: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";
const PIN: &str = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn error(full: bool) -> ErrorBody {
    ErrorBody {
        error: Refusal {
            code: RefusalCode::WrongState,
            message: "`node1` is not being installed".to_owned(),
            facts: list(full, texts(["it runs"])),
            tips: list(full, texts(["pxe-admin reimage node1"])),
        },
    }
}

fn k3s_secrets(full: bool) -> K3sSecrets {
    K3sSecrets {
        token: "K10::server:token".to_owned(),
        agent_token: some(full, "K10::node:token".to_owned()),
        node_password: "password".to_owned(),
    }
}

fn install_secrets(full: bool) -> InstallSecrets {
    InstallSecrets {
        node_key: HEX.to_owned(),
        k3s: some(full, k3s_secrets(true)),
    }
}

fn installed(full: bool) -> InstalledRequest {
    InstalledRequest {
        generation: 1,
        store_path: path("nixos-system-worker-25.05"),
        label: text(full, "25.05.20260401.abcdef0"),
        ssh_host_key: "ssh-ed25519 AAAA".to_owned(),
    }
}

fn boot(full: bool) -> BootRequest {
    BootRequest {
        name: host(),
        generation: 1,
        store_path: path("nixos-system-worker-25.05"),
        label: text(full, "25.05.20260401.abcdef0"),
        kernel: text(full, "6.12.21"),
        boot_id: "8b1c8a4e-5a2c-4c0c-9a53-0b2a1c9d8e7f".to_owned(),
        boot_order: list(full, vec![entry()]),
    }
}

fn identity(full: bool) -> NodeIdentity {
    NodeIdentity {
        name: host(),
        machine: mac(0x56),
        appliance: "https://10.77.0.1:8443".to_owned(),
        pin: PIN.to_owned(),
        role: some(full, Role::Agent),
    }
}

fn health(full: bool) -> Health {
    Health {
        status: "degraded".to_owned(),
        version: "0.1.0".to_owned(),
        store: some(full, "takes no writes".to_owned()),
    }
}

#[test]
fn calls_of_agents_and_nodes_are_as_written_down() {
    let claim = ClaimRequest {
        ticket: ticket(),
        session: HEX.to_owned(),
        recipient: "age1qqqq".to_owned(),
    };
    let held = ClaimAnswer {
        name: host(),
        attempt: 1,
        attempts: 3,
    };
    let discovered = DiscoveredRequest {
        mac: mac(0x56),
        hardware: hardware(false),
    };
    let plan = PlanRequest {
        hardware: hardware(true),
    };
    let sealed = SealedAnswer {
        sealed: "c2VhbGVk".to_owned(),
    };
    let disk = DiskSecrets {
        key: "abcd-efgh".to_owned(),
        credential: HEX.to_owned(),
    };
    let unlock = UnlockRequest {
        recipient: "age1qqqq".to_owned(),
    };
    let opens = UnlockSecrets {
        key: "abcd-efgh".to_owned(),
    };
    let token = UnlockToken {
        kind: UnlockToken::KIND.to_owned(),
        keyslots: texts(["0"]),
        machine: host(),
        appliance: "https://10.77.0.1:8443".to_owned(),
        pin: PIN.to_owned(),
        credential: HEX.to_owned(),
    };
    let fixed = [
        sample("claim", &claim),
        sample("claim held", &held),
        sample("discovered", &discovered),
        sample("plan", &plan),
        sample("sealed", &sealed),
        sample("disk secrets", &disk),
        sample("unlock", &unlock),
        sample("unlock secrets", &opens),
        sample("token in an encrypted volume", &token),
    ];
    let open = [
        both("error", error),
        both("k3s secrets", k3s_secrets),
        both("install secrets", install_secrets),
        both("installed", installed),
        both("boot", boot),
        both("node.json", identity),
        both("health", health),
    ];
    check("calls", fixed.into_iter().chain(open.into_iter().flatten()));
}
