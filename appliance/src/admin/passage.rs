//! A door on this machine's loopback that leads to the appliance's cache. Nix speaks plain HTTP to it and needs to know
//! neither token nor pin; what the appliance refuses is caught here, in the appliance's own words.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use netboot::api::types::SHIPMENT;
use netboot::base::refusal::{Code, Refusal};
use netboot::base::token::ShipmentId;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::client::Client;
use super::failure::Failure;
use super::words::bytes;
use crate::clock;
use crate::http::error::Refused;

/// The user's name that goes with the password; nobody looks at it.
const LOGIN: &str = "pxe-admin";

/// Open as long as it is held.
pub(super) struct Passage {
    address: SocketAddr,
    password: String,
    shared: Arc<Shared>,
    task: JoinHandle<std::io::Result<()>>,
}

struct Shared {
    client: Client,
    /// `Basic …`: other users of this machine see the port, too.
    expected: String,
    /// What all of it is a part of.
    shipment: Option<(HeaderName, HeaderValue)>,
    passed: Mutex<Passed>,
}

#[derive(Default)]
struct Passed {
    /// Narinfos that the appliance did not have when it was asked.
    lacking: BTreeSet<String>,
    /// Narinfos that it took.
    taken: usize,
    bytes: u64,
    failure: Option<Failure>,
}

impl Passage {
    pub(super) async fn open(client: Client, shipment: &ShipmentId) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let octets: [u8; 16] = clock::random();
        let password: String = octets.iter().map(|o| format!("{o:02x}")).collect();
        let basic = STANDARD.encode(format!("{LOGIN}:{password}"));
        let shared = Arc::new(Shared {
            client,
            expected: format!("Basic {basic}"),
            shipment: of_shipment(shipment),
            passed: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            password,
            shared,
            task,
        })
    }

    /// Where Nix copies to.
    pub(super) fn url(&self) -> String {
        format!("http://{}/cache", self.address)
    }

    /// The line of a netrc file (curl(1)) that opens it.
    pub(super) fn netrc(&self) -> String {
        let (host, password) = (self.address.ip(), &self.password);
        format!("machine {host} login {LOGIN} password {password}\n")
    }

    /// How far it is: `3 of 12 paths, 34.5 MiB`.
    pub(super) fn progress(&self) -> String {
        let passed = self.shared.passed();
        let (done, all) = (passed.taken, passed.lacking.len().max(passed.taken));
        format!("{done} of {all} paths, {}", bytes(passed.bytes))
    }

    /// How many paths the appliance took, and bytes.
    pub(super) fn taken(&self) -> (usize, u64) {
        let passed = self.shared.passed();
        (passed.taken, passed.bytes)
    }

    /// What went wrong last between here and the appliance.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.shared.passed().failure.take()
    }
}

/// The header of what is a part of this shipment.
pub(super) fn of_shipment(shipment: &ShipmentId) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(shipment.as_str()).ok()?;
    Some((HeaderName::from_static(SHIPMENT), value))
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let password = parts.headers.get(AUTHORIZATION);
    if password.is_none_or(|given| given.as_bytes() != shared.expected.as_bytes()) {
        let refusal = Refusal::new(Code::Unauthorized, "this door is for one Nix only");
        return Refused(refusal).into_response();
    }
    let (method, path) = (parts.method, parts.uri.path().to_owned());
    let mut headers = HeaderMap::new();
    for name in [CONTENT_LENGTH, CONTENT_TYPE, RANGE] {
        if let Some(value) = parts.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.extend(shared.shipment.clone());
    let body = (method == Method::PUT).then(|| {
        let counting = shared.clone();
        let octets = body.into_data_stream().inspect(move |octets| {
            if let Ok(octets) = octets {
                counting.passed().bytes += octets.len() as u64;
            }
        });
        reqwest::Body::wrap_stream(octets)
    });
    let answered = shared
        .client
        .pass(method.clone(), &path, headers, body)
        .await;
    match answered {
        Ok(response) if response.status().is_success() => {
            if method == Method::PUT && path.ends_with(".narinfo") {
                shared.passed().taken += 1;
            }
            back(response)
        }
        Ok(response) if method != Method::PUT && response.status() == StatusCode::NOT_FOUND => {
            if path.ends_with(".narinfo") {
                shared.passed().lacking.insert(path);
            }
            back(response)
        }
        Ok(response) => {
            let status = response.status();
            let failure = shared.client.not_passed(response, &method, &path).await;
            // Nix prints the body, and gives up at once or tries again by the status.
            let text = failure.notice().map(|notice| notice.message);
            shared.passed().failure = Some(failure);
            (status, text.unwrap_or_default()).into_response()
        }
        Err(failure) => {
            shared.passed().failure = Some(failure);
            let message = "the appliance cannot be reached";
            Refused(Refusal::new(Code::StoreUnavailable, message)).into_response()
        }
    }
}

/// The appliance's answer as it came.
fn back(response: reqwest::Response) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = response.status();
    for name in [CONTENT_LENGTH, CONTENT_TYPE] {
        if let Some(value) = response.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    *answer.body_mut() = Body::from_stream(response.bytes_stream());
    answer
}
