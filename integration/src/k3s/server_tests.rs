//! Server and agent of the stand-in against each other, over TLS on loopback.

use std::path::PathBuf;

use super::super::agent::ClusterMember;
use super::super::client::K3sClient;
use super::super::token::ca_hash;
use super::*;

struct Lab {
    dir: tempfile::TempDir,
    url: String,
}

fn config(dir: &Path) -> K3sServerConfig {
    for (file, secret) in [
        ("server", "server-secret"),
        ("agent", "agent-secret"),
        ("api", "api-secret"),
    ] {
        fs::write(dir.join(file), format!("{secret}\n")).unwrap();
    }
    let d = dir.display();
    K3sServerConfig::read(&format!(
        "token-file: {d}/server\nagent-token-file: {d}/agent\nstand-in-api-token-file: {d}/api\n\
         bind-address: 127.0.0.1\nhttps-listen-port: 0\ndata-dir: {d}/data\n"
    ))
    .unwrap()
}

fn start(dir: tempfile::TempDir) -> Lab {
    let server = K3sServer::bind(&config(dir.path())).unwrap();
    let url = format!("https://{}", server.address().unwrap());
    std::thread::spawn(move || server.run(|_| {}));
    Lab { dir, url }
}

impl Lab {
    fn member(&self, token: &str, password: &str) -> ClusterMember {
        let file = self.dir.path().join(format!("password-{password}"));
        fs::write(&file, password).unwrap();
        ClusterMember {
            server: self.url.clone(),
            token: Token::read(token).unwrap(),
            user: "node",
            name: "node1".to_owned(),
            password_file: file,
            labels: vec!["tier=worker".to_owned()],
        }
    }

    fn cacerts(&self) -> Vec<u8> {
        let client = K3sClient::believing_anybody(&self.url).unwrap();
        client
            .send(&HttpRequest::new("GET", "/cacerts"))
            .unwrap()
            .body
    }

    fn node(&self) -> serde_json::Value {
        let client = K3sClient::trusting(&self.url, &self.cacerts(), None).unwrap();
        let request = HttpRequest::new("GET", "/api/v1/nodes/node1")
            .with("authorization", "Bearer api-secret");
        serde_json::from_slice(&client.send(&request).unwrap().body).unwrap()
    }
}

fn refusal(member: &ClusterMember) -> String {
    member
        .join()
        .err()
        .map(|e| format!("{e:#}"))
        .unwrap_or_default()
}

#[test]
fn a_node_joins_and_is_ready_with_this_boot() {
    let lab = start(tempfile::tempdir().unwrap());
    let long = format!("K10{}::node:agent-secret", ca_hash(&lab.cacerts()));
    for token in ["agent-secret", &long] {
        let member = lab.member(token, "first");
        let joined = member.join().unwrap();
        member.beat(&joined).unwrap();
    }
    let node = lab.node();
    assert_eq!(node["status"]["conditions"][0]["status"], "True", "{node}");
    assert_eq!(node["metadata"]["labels"]["tier"], "worker");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(node["status"]["nodeInfo"]["bootID"], boot.trim());
}

#[test]
fn a_node_that_invents_a_password_is_told_so_even_after_a_restart_of_the_server() {
    let lab = start(tempfile::tempdir().unwrap());
    lab.member("agent-secret", "first").join().unwrap();
    let said = refusal(&lab.member("agent-secret", "second"));
    assert!(
        said.contains("Node password rejected") && said.contains("403"),
        "{said}"
    );
    let ca = lab.cacerts();
    // The first server still runs; a second one on the same directory is what a restart would be.
    let lab = start(lab.dir);
    assert_eq!(lab.cacerts(), ca);
    assert!(refusal(&lab.member("agent-secret", "second")).contains("Node password rejected"));
    lab.member("agent-secret", "first").join().unwrap();
}

#[test]
fn a_token_of_another_cluster_is_noticed_before_it_is_sent() {
    let lab = start(tempfile::tempdir().unwrap());
    let foreign = format!("K10{}::node:agent-secret", "0".repeat(64));
    let said = refusal(&lab.member(&foreign, "first"));
    assert!(said.contains("another cluster answers there"), "{said}");
    assert!(refusal(&lab.member("guess", "first")).contains("401"));
}

#[test]
fn nobody_answers_is_said_with_the_address() {
    let lab = start(tempfile::tempdir().unwrap());
    let mut member = lab.member("agent-secret", "first");
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    member.server = format!("https://{free}");
    assert!(refusal(&member).contains(&format!("cannot reach {free}")));
    member.server = "http://127.0.0.1:1".to_owned();
    member.password_file = PathBuf::from("/proc/nothing/here");
    assert!(refusal(&member).contains("cannot make `/proc/nothing`"));
}
