//! Calls to the appliance, over its socket or over TLS, and what can go wrong with them.

mod causes;
mod lines;

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use netboot::api::types::ErrorBody;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot_pin::HandshakeRejection;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Body, Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::causes::{cause, chain};
pub(crate) use self::lines::LineStream;
use crate::endpoint::Endpoint;
use crate::failure::{Failure, NoConnection};

/// How long an answer may take: every call but `publish` is one write to a disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long `publish` may take: it packs and signs gigabytes.
pub(crate) const PUBLISH_WITHIN: Duration = Duration::from_secs(3600);

/// How long a question about thousands of files may take.
const ASK_WITHIN: Duration = Duration::from_secs(120);

/// How long a TCP and TLS handshake may take on a LAN.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Calls to one appliance.
#[derive(Clone)]
pub(crate) struct AdminClient {
    http: reqwest::Client,
    base: Url,
    /// As it is called in an error.
    name: String,
    /// Over TLS: why the other side's key was not the appliance's.
    rejection: Option<HandshakeRejection>,
    answer_within: Duration,
}

impl AdminClient {
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, Failure> {
        // The HTTP client insists on a provider even where it never speaks TLS. A second call is harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let name = endpoint.to_string();
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        let unusable = |causes| Failure::Unreachable {
            appliance: name.clone(),
            call: "none yet".to_owned(),
            causes,
            forbidden: false,
        };
        let (builder, base, rejection) = match endpoint {
            Endpoint::Socket(path) => (
                builder.unix_socket(path.as_path()),
                "http://appliance/".to_owned(),
                None,
            ),
            Endpoint::Network {
                url,
                pin,
                pinned_by,
                bearer,
            } => {
                let pinned = netboot_pin::client(pin, pinned_by);
                let (tls, rejection) = pinned.map_err(|error| unusable(vec![error.to_string()]))?;
                let builder = builder
                    .use_preconfigured_tls(tls)
                    .https_only(true)
                    .connect_timeout(CONNECT_WITHIN)
                    .tcp_keepalive(Duration::from_secs(15))
                    .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]));
                (builder, url, Some(rejection))
            }
        };
        let http = builder.build().map_err(|error| unusable(chain(&error)))?;
        let base = Url::parse(&base).map_err(|error| unusable(vec![error.to_string()]))?;
        Ok(Self {
            http,
            base,
            name,
            rejection,
            answer_within: ANSWER_WITHIN,
        })
    }

    /// Whether the appliance is not on this machine.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.rejection.is_some()
    }

    /// As it is called in an error.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes sure that the appliance's cache takes what is built here.
    ///
    /// # Errors
    /// The appliance does not let us in, has no such call, or does not answer.
    pub(crate) async fn cache_info(&self) -> Result<(), Failure> {
        let call = AdminCall::at(Method::GET, "/cache/nix-cache-info");
        let within = self.answer_within;
        let response = self.request(&call).timeout(within).send().await;
        let response = response.map_err(|error| self.no_answer(&error, &call, within, None))?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(self.not_granted(response, &call).await)
        }
    }

    /// Forwards another program's call as it is, without a limit of time.
    pub(crate) async fn forward(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Body>,
    ) -> Result<Response, Failure> {
        let call = AdminCall::at(method, path);
        let request = self.request(&call).headers(headers);
        let request = match body {
            Some(body) => request.body(body),
            None => request,
        };
        let sent = request.send().await;
        sent.map_err(|error| self.no_answer(&error, &call, self.answer_within, None))
    }

    /// Why a forwarded call has no answer of 2xx.
    pub(crate) async fn not_forwarded(
        &self,
        response: Response,
        method: &Method,
        path: &str,
    ) -> Failure {
        self.not_granted(response, &AdminCall::at(method.clone(), path))
            .await
    }

    #[cfg(test)]
    pub(crate) fn impatient(mut self, answer_within: Duration) -> Self {
        self.answer_within = answer_within;
        self
    }

    /// A GET request: it changes nothing.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Failure> {
        let call = AdminCall::new(Method::GET, path);
        let request = self.request(&call).timeout(self.answer_within);
        self.answer(request, &call, self.answer_within, None).await
    }

    /// A GET request with a query: it changes nothing.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let call = AdminCall::new(Method::GET, path);
        let request = self.request(&call).query(query).timeout(self.answer_within);
        self.answer(request, &call, self.answer_within, None).await
    }

    /// A request with a body that only asks: it changes nothing.
    pub(crate) async fn ask_about<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &B,
    ) -> Result<T, Failure> {
        let call = AdminCall::new(Method::POST, path);
        let request = self.request(&call).json(body).timeout(ASK_WITHIN);
        self.answer(request, &call, ASK_WITHIN, None).await
    }

    /// A GET request whose answer is not JSON.
    pub(crate) async fn octets(&self, path: &[&str]) -> Result<Vec<u8>, Failure> {
        let call = AdminCall::new(Method::GET, path);
        let within = self.answer_within;
        let lost = |error: &reqwest::Error| self.no_answer(error, &call, within, None);
        let request = self.request(&call).timeout(within);
        let response = request.send().await.map_err(|error| lost(&error))?;
        if !response.status().is_success() {
            return Err(self.not_granted(response, &call).await);
        }
        let octets = response.bytes().await.map_err(|error| lost(&error))?;
        Ok(octets.to_vec())
    }

    /// A POST request, which changes something. `perhaps` is what may have happened if no answer comes: "enrolled
    /// 52:54:00:12:34:56".
    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &B,
        within: Option<Duration>,
        perhaps: &str,
    ) -> Result<T, Failure> {
        let call = AdminCall::new(Method::POST, path);
        let within = within.unwrap_or(self.answer_within);
        let request = self.request(&call).json(body).timeout(within);
        self.answer(request, &call, within, Some(perhaps)).await
    }

    /// Asks for lines; only their beginning has a limit.
    pub(crate) async fn lines(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<LineStream<'_>, Failure> {
        let call = AdminCall::new(Method::GET, path);
        let request = self.request(&call).query(query);
        let answered = tokio::time::timeout(self.answer_within, request.send()).await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.no_answer(&error, &call, self.answer_within, None)),
            Err(_) => {
                return Err(Failure::Unanswered {
                    appliance: self.name.clone(),
                    call: call.to_string(),
                    why: NoConnection::Timeout(self.answer_within),
                    perhaps: None,
                    causes: Vec::new(),
                });
            }
        };
        if !response.status().is_success() {
            return Err(self.not_granted(response, &call).await);
        }
        Ok(LineStream::new(self, call, response))
    }

    fn request(&self, call: &AdminCall) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(call.url.path());
        self.http.request(call.method.clone(), url)
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        call: &AdminCall,
        within: Duration,
        perhaps: Option<&str>,
    ) -> Result<T, Failure> {
        let lost = |error: &reqwest::Error| self.no_answer(error, call, within, perhaps);
        let response = request.send().await.map_err(|error| lost(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.not_granted(response, call).await);
        }
        let octets = response.bytes().await.map_err(|error| lost(&error))?;
        serde_json::from_slice(&octets).map_err(|error| {
            let what = format!("it answered {status}, but not with what was asked for ({error})");
            self.foreign(call, what)
        })
    }

    /// An answer other than 2xx.
    async fn not_granted(&self, response: Response, call: &AdminCall) -> Failure {
        let status = response.status();
        let octets = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<ErrorBody>(&octets) {
            Ok(ErrorBody { error }) => Failure::Refused {
                refusal: error,
                call: call.to_string(),
            },
            Err(_) => self.foreign(call, format!("it answered {status} and no reason")),
        }
    }

    fn no_answer(
        &self,
        error: &reqwest::Error,
        call: &AdminCall,
        within: Duration,
        perhaps: Option<&str>,
    ) -> Failure {
        let causes = chain(error);
        let (appliance, call_text) = (self.name.clone(), call.to_string());
        let rejection = self.rejection.as_ref().and_then(|rejection| {
            let mut rejection = rejection.lock().unwrap_or_else(PoisonError::into_inner);
            rejection.take()
        });
        if let Some(foreign) = rejection {
            return Failure::ForeignKey {
                appliance,
                call: call_text,
                what: foreign.what,
            };
        }
        if error.is_connect() {
            return Failure::Unreachable {
                appliance,
                call: call_text,
                causes,
                forbidden: cause::<io::Error>(error)
                    .is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied),
            };
        }
        if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
            return self.foreign(call, "it does not speak HTTP".to_owned());
        }
        let why = if error.is_timeout() {
            NoConnection::Timeout(within)
        } else {
            NoConnection::Cut
        };
        Failure::Unanswered {
            appliance,
            call: call_text,
            why,
            perhaps: perhaps.map(ToOwned::to_owned),
            causes,
        }
    }

    fn foreign(&self, call: &AdminCall, what: String) -> Failure {
        Failure::Foreign {
            appliance: self.name.clone(),
            call: call.to_string(),
            what,
        }
    }
}

/// One call, and how it is called in an error.
struct AdminCall {
    method: Method,
    url: Url,
}

impl AdminCall {
    fn new(method: Method, path: &[&str]) -> Self {
        let mut call = Self::at(method, "/");
        if let Ok(mut segments) = call.url.path_segments_mut() {
            segments.clear().extend(["admin", "v1"]).extend(path);
        }
        call
    }

    fn at(method: Method, path: &str) -> Self {
        let mut url = Url::parse("http://appliance/").expect("a constant URL is one");
        url.set_path(path);
        Self { method, url }
    }
}

impl std::fmt::Display for AdminCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.url.path())
    }
}

/// A refusal that needs no appliance to say it.
pub(crate) fn refused_here(message: &str, tips: &[String]) -> Failure {
    let refusal = Refusal::new(RefusalCode::WrongState, message).fact("nothing was changed");
    Failure::here(tips.iter().fold(refusal, |refusal, tip| refusal.tip(tip)))
}

#[cfg(test)]
mod tests;
