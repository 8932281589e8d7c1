//! The join protocol's rules, each with its row.

use super::super::certs::Authority;
use super::super::cluster::{ClusterRecords, ClusterTokens};
use super::*;

fn cluster() -> Cluster {
    Cluster {
        tokens: ClusterTokens {
            server: "server-secret".to_owned(),
            agent: Some("agent-secret".to_owned()),
            api: Some("api-secret".to_owned()),
        },
        authority: Authority::new().unwrap(),
        kept: ClusterRecords::default(),
    }
}

fn joining(credentials: &str, name: &str, password: &str) -> HttpRequest {
    HttpRequest::new("GET", "/v1-k3s/serving-kubelet.crt")
        .with(
            "authorization",
            &format!("Basic {}", STANDARD.encode(credentials)),
        )
        .with("k3s-Node-Name", name)
        .with("k3s-Node-Password", password)
}

fn code(cluster: &mut Cluster, request: &HttpRequest) -> u16 {
    answer(cluster, request, None, 1000).response.status
}

#[test]
fn a_token_opens_what_it_is_for() {
    let cases = [
        ("an agent with the agent token", "node:agent-secret", 200),
        ("an agent with the server token", "node:server-secret", 200),
        (
            "a server with the server token",
            "server:server-secret",
            200,
        ),
        ("a server with the agent token", "server:agent-secret", 401),
        ("another user", "root:server-secret", 401),
        ("a wrong token", "node:guess", 401),
        ("no password", "node:", 401),
        ("no colon", "node", 401),
    ];
    for (name, credentials, want) in cases {
        assert_eq!(
            code(&mut cluster(), &joining(credentials, "node1", "p")),
            want,
            "{name}"
        );
    }
    let bare = HttpRequest::new("GET", "/v1-k3s/serving-kubelet.crt");
    assert_eq!(code(&mut cluster(), &bare), 401, "no credentials at all");
}

#[test]
fn a_changed_node_password_is_rejected_and_the_old_one_still_good() {
    let mut cluster = cluster();
    let mut join = |name, password| {
        let answer = answer(
            &mut cluster,
            &joining("node:agent-secret", name, password),
            None,
            1000,
        );
        (answer.response.status, answer.response.text())
    };
    assert_eq!(join("node1", "first").0, 200);
    let (status, text) = join("node1", "second");
    assert_eq!(status, 403);
    assert!(text.contains(REJECTED), "{text}");
    assert_eq!(join("node1", "first").0, 200, "the first password");
    assert_eq!(join("node2", "second").0, 200, "another node");
}

#[test]
fn the_password_is_checked_after_the_token() {
    let mut cluster = cluster();
    assert_eq!(
        code(&mut cluster, &joining("node:guess", "node1", "squatter")),
        401
    );
    assert_eq!(
        code(
            &mut cluster,
            &joining("node:agent-secret", "node1", "owner")
        ),
        200
    );
}

#[test]
fn no_password_is_kept_in_the_clear() {
    let mut cluster = cluster();
    code(
        &mut cluster,
        &joining("node:agent-secret", "node1", "node-password-canary"),
    );
    let kept = serde_json::to_string(&cluster.kept).unwrap();
    assert!(kept.contains("node1") && !kept.contains("canary"), "{kept}");
}

#[test]
fn names_and_passwords_are_needed() {
    let cases = [
        ("no name", "", "p"),
        ("a bad name", "Node_1", "p"),
        ("no password", "node1", ""),
    ];
    for (name, node, password) in cases {
        let request = joining("node:agent-secret", node, password);
        assert_eq!(code(&mut cluster(), &request), 400, "{name}");
    }
}

fn beat(cluster: &mut Cluster, name: &str, peer: Option<&str>, now: u64) -> u16 {
    let mut request = HttpRequest::new("PATCH", &format!("/api/v1/nodes/{name}/status"));
    request.body =
        br#"{"metadata":{"labels":{"tier":"worker"}},"status":{"nodeInfo":{"bootID":"b1"}}}"#
            .to_vec();
    answer(cluster, &request, peer, now).response.status
}

fn ready(cluster: &mut Cluster, now: u64) -> String {
    let request =
        HttpRequest::new("GET", "/api/v1/nodes/node1").with("authorization", "Bearer api-secret");
    let response = answer(cluster, &request, None, now).response;
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let condition = &body["status"]["conditions"][0];
    match response.status {
        200 => condition["status"].as_str().unwrap().to_owned(),
        other => other.to_string(),
    }
}

#[test]
fn a_node_is_ready_while_its_own_heartbeats_come() {
    let mut cluster = cluster();
    assert_eq!(
        ready(&mut cluster, 1000),
        "404",
        "before the first heartbeat"
    );
    assert_eq!(
        beat(&mut cluster, "node1", None, 1000),
        401,
        "without a certificate"
    );
    assert_eq!(
        beat(&mut cluster, "node1", Some("node2"), 1000),
        401,
        "with another's"
    );
    assert_eq!(beat(&mut cluster, "node1", Some("node1"), 1000), 200);
    assert_eq!(ready(&mut cluster, 1040), "True");
    assert_eq!(ready(&mut cluster, 1041), "Unknown");
    assert_eq!(beat(&mut cluster, "node1", Some("node1"), 1100), 200);
    assert_eq!(ready(&mut cluster, 1100), "True");
}

#[test]
fn nodes_are_shown_to_the_service_account_alone() {
    let mut cluster = cluster();
    beat(&mut cluster, "node1", Some("node1"), 1000);
    for (name, header, want) in [
        ("nobody", None, 401),
        ("a join token", Some("Bearer server-secret"), 401),
        ("basic auth", Some("Basic YXBpLXNlY3JldA=="), 401),
        ("the service account", Some("Bearer api-secret"), 200),
    ] {
        let mut request = HttpRequest::new("GET", "/api/v1/nodes");
        if let Some(value) = header {
            request = request.with("authorization", value);
        }
        assert_eq!(code(&mut cluster, &request), want, "{name}");
    }
}

#[test]
fn a_deleted_node_frees_its_name() {
    let mut cluster = cluster();
    code(
        &mut cluster,
        &joining("node:agent-secret", "node1", "first"),
    );
    beat(&mut cluster, "node1", Some("node1"), 1000);
    let delete = HttpRequest::new("DELETE", "/api/v1/nodes/node1")
        .with("authorization", "Bearer api-secret");
    assert_eq!(code(&mut cluster, &delete), 200);
    assert_eq!(code(&mut cluster, &delete), 404);
    assert_eq!(
        code(
            &mut cluster,
            &joining("node:agent-secret", "node1", "second")
        ),
        200
    );
}

#[test]
fn what_the_stand_in_lacks_is_not_found() {
    for path in ["/", "/v1-k3s/config", "/apis/apps/v1/deployments"] {
        assert_eq!(
            code(&mut cluster(), &HttpRequest::new("GET", path)),
            404,
            "{path}"
        );
    }
}
