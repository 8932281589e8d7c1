//! A request to the API server → its answer, and whether something changed that must be kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cluster::{Cluster, PasswordRejected};
use super::http::{HttpRequest, HttpResponse};

/// What k3s logs on the agent for the 403 of a changed node password.
pub const REJECTED: &str = "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not \
     match server node-passwd entry";

/// An answer. `note` is a line for the console, without secrets.
pub struct Answer {
    pub response: HttpResponse,
    pub changed: bool,
    pub note: Option<String>,
}

impl From<HttpResponse> for Answer {
    fn from(response: HttpResponse) -> Self {
        Self {
            response,
            changed: false,
            note: None,
        }
    }
}

/// `peer` is the node whose client certificate the connection brought; `now` is seconds since the epoch.
pub fn answer(
    cluster: &mut Cluster,
    request: &HttpRequest,
    peer: Option<&str>,
    now: u64,
) -> Answer {
    let path: Vec<_> = request.path.trim_matches('/').split('/').collect();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["ping"]) => HttpResponse::new(200, "text/plain", "pong").into(),
        ("GET", ["cacerts"]) => {
            HttpResponse::new(200, "text/plain", cluster.authority.pem()).into()
        }
        ("GET", ["v1-k3s", "serving-kubelet.crt" | "client-kubelet.crt"]) => join(cluster, request),
        (_, ["v1-k3s", ..]) => status(404, "NotFound", "the stand-in has no such call").into(),
        ("PATCH", ["api", "v1", "nodes", name, "status"]) => {
            heartbeat(cluster, request, name, peer, now)
        }
        (method, ["api", "v1", "nodes", rest @ ..]) => nodes(cluster, request, method, rest, now),
        _ => status(404, "NotFound", "the stand-in has no such call").into(),
    }
}

/// Both kubelet certificates: a join token, a name, and the password of that name.
fn join(cluster: &mut Cluster, request: &HttpRequest) -> Answer {
    if !is_member(cluster, request) {
        let refused = status(401, "Unauthorized", "not a token of this cluster");
        return noted(
            refused,
            "a join was refused: not a token of this cluster".to_owned(),
        );
    }
    let (name, password) = match (
        request.header("k3s-Node-Name"),
        request.header("k3s-Node-Password"),
    ) {
        (Some(name), Some(password)) if is_name(name) && !password.is_empty() => (name, password),
        _ => return status(400, "BadRequest", "node name and password are needed").into(),
    };
    if cluster.check_password(name, password) == Err(PasswordRejected) {
        let refused = status(403, "Forbidden", REJECTED);
        return noted(refused, format!("{name} was refused: {REJECTED}"));
    }
    match cluster.issue(name) {
        Ok(issued) => Answer {
            response: HttpResponse::new(200, "application/x-pem-file", issued.pem),
            changed: true,
            note: None,
        },
        Err(error) => status(500, "InternalError", &format!("{error:#}")).into(),
    }
}

/// Basic auth as k3s has it: user `node` or `server`, the token as password. An agent token is for nodes
/// alone; the server token is good for both.
fn is_member(cluster: &Cluster, request: &HttpRequest) -> bool {
    let credentials = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value).ok())
        .and_then(|value| String::from_utf8(value).ok());
    let Some((user, password)) = credentials.as_deref().and_then(|c| c.split_once(':')) else {
        return false;
    };
    let tokens = &cluster.tokens;
    match user {
        "server" => password == tokens.server,
        "node" => password == tokens.server || Some(password) == tokens.agent.as_deref(),
        _ => false,
    }
}

fn heartbeat(
    cluster: &mut Cluster,
    request: &HttpRequest,
    name: &str,
    peer: Option<&str>,
    now: u64,
) -> Answer {
    if peer != Some(name) {
        return status(
            401,
            "Unauthorized",
            "the client certificate is not this node's",
        )
        .into();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return status(400, "BadRequest", "the body is no JSON").into();
    };
    let was_ready = cluster
        .kept
        .nodes
        .get(name)
        .is_some_and(|n| n.is_ready(now));
    cluster.heartbeat(name, &body, now);
    let object = cluster.kept.nodes[name].object(name, now);
    Answer {
        response: json_answer(200, &object),
        changed: true,
        note: (!was_ready).then(|| format!("{name} is Ready")),
    }
}

/// What a service account may do: get, list and delete nodes.
fn nodes(
    cluster: &mut Cluster,
    request: &HttpRequest,
    method: &str,
    rest: &[&str],
    now: u64,
) -> Answer {
    let bearer = request
        .header("authorization")
        .and_then(|v| v.strip_prefix("Bearer "));
    if bearer.is_none() || bearer != cluster.tokens.api.as_deref() {
        return status(401, "Unauthorized", "Unauthorized").into();
    }
    match (method, rest) {
        ("GET", []) => {
            let all = cluster.kept.nodes.iter();
            let items: Vec<_> = all.map(|(name, node)| node.object(name, now)).collect();
            json_answer(
                200,
                &json!({ "apiVersion": "v1", "kind": "NodeList", "items": items }),
            )
            .into()
        }
        ("GET", [name]) => match cluster.kept.nodes.get(*name) {
            Some(node) => json_answer(200, &node.object(name, now)).into(),
            None => status(404, "NotFound", &format!("nodes \"{name}\" not found")).into(),
        },
        ("DELETE", [name]) => {
            let there = cluster.delete(name);
            let response = if there {
                json_answer(
                    200,
                    &json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }),
                )
            } else {
                status(404, "NotFound", &format!("nodes \"{name}\" not found"))
            };
            Answer {
                response,
                changed: true,
                note: there.then(|| format!("{name} was deleted")),
            }
        }
        _ => status(405, "MethodNotAllowed", "the stand-in has no such call").into(),
    }
}

fn is_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name
            .chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.'))
}

fn noted(response: HttpResponse, note: String) -> Answer {
    Answer {
        response,
        changed: false,
        note: Some(note),
    }
}

fn json_answer(code: u16, body: &Value) -> HttpResponse {
    HttpResponse::new(code, "application/json", body.to_string())
}

/// The Status object of the Kubernetes API.
fn status(code: u16, reason: &str, message: &str) -> HttpResponse {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    json_answer(code, &body)
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
