//! A port on this machine's loopback that leads to the appliance's cache. Nix speaks plain HTTP to it and needs to know
//! neither token nor pin. What the appliance refuses is kept here, in the appliance's own words.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use netboot::api::types::SHIPMENT;
use netboot::base::token::UploadBatchId;
use reqwest::Body;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::AdminClient;
use crate::failure::Failure;
use crate::format::bytes;

/// The user name that goes with the password; it is not checked.
const LOGIN: &str = "pxe-admin";

/// The pause after a connection that could not be accepted: the cause may be a lack of file descriptors.
const AGAIN: Duration = Duration::from_secs(1);

/// Open as long as it is held.
pub(crate) struct LoopbackProxy {
    address: SocketAddr,
    password: String,
    shared: Arc<ProxyState>,
    task: JoinHandle<()>,
}

struct ProxyState {
    client: AdminClient,
    /// `Basic …`: other users of this machine see the port, too.
    expected: String,
    /// Says which upload all of it belongs to.
    upload: Option<(HeaderName, HeaderValue)>,
    counted: Mutex<UploadBody>,
}

/// What went through.
#[derive(Default)]
struct UploadBody {
    /// Narinfos that the appliance did not have when it was asked.
    missing: BTreeSet<String>,
    /// Narinfos that it took.
    taken: usize,
    bytes: u64,
    failure: Option<Failure>,
}

impl LoopbackProxy {
    /// # Errors
    /// The operating system gives no port or no randomness.
    pub(crate) async fn open(client: AdminClient, upload: &UploadBatchId) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut octets = [0; 16];
        getrandom::fill(&mut octets).map_err(|error| io::Error::other(error.to_string()))?;
        let password = URL_SAFE_NO_PAD.encode(octets);
        let basic = STANDARD.encode(format!("{LOGIN}:{password}"));
        let shared = Arc::new(ProxyState {
            client,
            expected: format!("Basic {basic}"),
            upload: upload_header(upload),
            counted: Mutex::default(),
        });
        let task = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self {
            address,
            password,
            shared,
            task,
        })
    }

    /// Where Nix copies to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/cache", self.address)
    }

    /// The line of a netrc file (curl(1)) that opens it.
    pub(crate) fn netrc(&self) -> String {
        let (host, password) = (self.address.ip(), &self.password);
        format!("machine {host} login {LOGIN} password {password}\n")
    }

    /// How far it is: `3 of 12 paths, 34.5 MiB`.
    pub(crate) fn progress(&self) -> String {
        let counted = self.shared.counted();
        let (done, all) = (counted.taken, counted.missing.len().max(counted.taken));
        format!("{done} of {all} paths, {}", bytes(counted.bytes))
    }

    /// How many paths the appliance took, and bytes.
    pub(crate) fn taken(&self) -> (usize, u64) {
        let counted = self.shared.counted();
        (counted.taken, counted.bytes)
    }

    /// What went wrong last between here and the appliance.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.shared.counted().failure.take()
    }
}

/// The header of what belongs to this upload.
pub(crate) fn upload_header(upload: &UploadBatchId) -> Option<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(upload.as_str()).ok()?;
    Some((HeaderName::from_static(SHIPMENT), value))
}

impl Drop for LoopbackProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ProxyState {
    fn counted(&self) -> MutexGuard<'_, UploadBody> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes connections for ever. They end with the future.
async fn serve(listener: TcpListener, shared: Arc<ProxyState>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let shared = shared.clone();
                    let service = service_fn(move |request| {
                        let shared = shared.clone();
                        async move { Ok::<_, Infallible>(forward(&shared, request).await) }
                    });
                    let connection = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    connections.spawn(async move {
                        // Nix itself reports a connection that breaks off.
                        let _ = connection.await;
                    });
                }
                Err(_) => tokio::time::sleep(AGAIN).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn forward(shared: &Arc<ProxyState>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let password = parts.headers.get(AUTHORIZATION);
    if password.is_none_or(|given| given.as_bytes() != shared.expected.as_bytes()) {
        return text(StatusCode::UNAUTHORIZED, "this port is for one Nix only");
    }
    let (method, path) = (parts.method, parts.uri.path().to_owned());
    let mut headers = HeaderMap::new();
    for name in [CONTENT_LENGTH, CONTENT_TYPE, RANGE] {
        if let Some(value) = parts.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.extend(shared.upload.clone());
    let body = (method == Method::PUT).then(|| {
        let counting = shared.clone();
        let octets = body.into_data_stream().inspect(move |octets| {
            if let Ok(octets) = octets {
                counting.counted().bytes += octets.len() as u64;
            }
        });
        Body::wrap_stream(octets)
    });
    let client = &shared.client;
    let answered = client.forward(method.clone(), &path, headers, body).await;
    match answered {
        Ok(response) if response.status().is_success() => {
            if method == Method::PUT && path.ends_with(".narinfo") {
                shared.counted().taken += 1;
            }
            back(response)
        }
        Ok(response) if method != Method::PUT && response.status() == StatusCode::NOT_FOUND => {
            if path.ends_with(".narinfo") {
                shared.counted().missing.insert(path);
            }
            back(response)
        }
        Ok(response) => {
            let status = response.status();
            let failure = client.not_forwarded(response, &method, &path).await;
            // Nix prints the body, and gives up at once or tries again by the status.
            let message = failure.notice().map(|notice| notice.message);
            shared.counted().failure = Some(failure);
            text(status, message.unwrap_or_default())
        }
        Err(failure) => {
            shared.counted().failure = Some(failure);
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the appliance cannot be reached",
            )
        }
    }
}

/// An answer of our own.
fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut answer = Response::new(text.into());
    *answer.status_mut() = status;
    answer
}

/// The appliance's answer as it came.
fn back(response: reqwest::Response) -> Response<Body> {
    let (parts, body) = Response::<Body>::from(response).into_parts();
    let mut answer = text(parts.status, body);
    for name in [CONTENT_LENGTH, CONTENT_TYPE] {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}
