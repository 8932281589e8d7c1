//! Calls to the appliance over its admin socket, and what can go wrong with them.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use netboot::refusal::{Code, Refusal};
use netboot::wire::ErrorBody;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cli::Appliance;
use super::failure::{Failure, Unanswered};

/// How long an answer may take: every call but `publish` is one write to a disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long `publish` may take: it packs and signs gigabytes.
pub(super) const PUBLISH_WITHIN: Duration = Duration::from_secs(3600);

/// The way to one appliance.
pub(super) struct Client {
    http: reqwest::Client,
    appliance: Appliance,
    answer_within: Duration,
}

impl Client {
    pub(super) fn new(appliance: Appliance) -> Result<Self, Failure> {
        // The HTTP client insists on a provider even where it never speaks TLS. A second call is harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .unix_socket(appliance.socket.as_path())
            .no_proxy()
            .build()
            .map_err(|error| Failure::Unreachable {
                appliance: appliance.to_string(),
                call: "none yet".to_owned(),
                causes: chain(&error),
                forbidden: false,
            })?;
        Ok(Self {
            http,
            appliance,
            answer_within: ANSWER_WITHIN,
        })
    }

    #[cfg(test)]
    pub(super) fn impatient(mut self, answer_within: Duration) -> Self {
        self.answer_within = answer_within;
        self
    }

    /// Asks. Nothing changes by it.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Failure> {
        let call = Call::new(Method::GET, path);
        let request = self.request(&call).timeout(self.answer_within);
        self.answer(request, &call, self.answer_within, None).await
    }

    /// Asks with a query. Nothing changes by it.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let call = Call::new(Method::GET, path);
        let request = self.request(&call).query(query).timeout(self.answer_within);
        self.answer(request, &call, self.answer_within, None).await
    }

    /// Asks for something that is not JSON.
    pub(super) async fn octets(&self, path: &[&str]) -> Result<Vec<u8>, Failure> {
        let call = Call::new(Method::GET, path);
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

    /// Commands. `perhaps` is what may have happened if no answer comes: "enrolled 52:54:00:12:34:56".
    pub(super) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &B,
        within: Option<Duration>,
        perhaps: &str,
    ) -> Result<T, Failure> {
        let call = Call::new(Method::POST, path);
        let within = within.unwrap_or(self.answer_within);
        let request = self.request(&call).json(body).timeout(within);
        self.answer(request, &call, within, Some(perhaps)).await
    }

    /// Asks for lines; only their beginning has a limit.
    pub(super) async fn lines(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Lines<'_>, Failure> {
        let call = Call::new(Method::GET, path);
        let request = self.request(&call).query(query);
        let answered = tokio::time::timeout(self.answer_within, request.send()).await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.no_answer(&error, &call, self.answer_within, None)),
            Err(_) => {
                return Err(Failure::Unanswered {
                    appliance: self.appliance.to_string(),
                    call: call.to_string(),
                    why: Unanswered::Timeout(self.answer_within),
                    perhaps: None,
                    causes: Vec::new(),
                });
            }
        };
        if !response.status().is_success() {
            return Err(self.not_granted(response, &call).await);
        }
        Ok(Lines {
            client: self,
            call,
            response,
            pending: Vec::new(),
        })
    }

    fn request(&self, call: &Call) -> RequestBuilder {
        self.http.request(call.method.clone(), call.url.clone())
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        call: &Call,
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
    async fn not_granted(&self, response: Response, call: &Call) -> Failure {
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
        call: &Call,
        within: Duration,
        perhaps: Option<&str>,
    ) -> Failure {
        let causes = chain(error);
        let (appliance, call_text) = (self.appliance.to_string(), call.to_string());
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
            Unanswered::Timeout(within)
        } else {
            Unanswered::Cut
        };
        Failure::Unanswered {
            appliance,
            call: call_text,
            why,
            perhaps: perhaps.map(ToOwned::to_owned),
            causes,
        }
    }

    fn foreign(&self, call: &Call, what: String) -> Failure {
        Failure::Foreign {
            appliance: self.appliance.to_string(),
            call: call.to_string(),
            what,
        }
    }
}

/// The lines of an answer that may go on.
pub(super) struct Lines<'a> {
    client: &'a Client,
    call: Call,
    response: Response,
    pending: Vec<u8>,
}

/// Bytes of the longest line: an event holds at most one body, and its plan.
const LONGEST_LINE: usize = 4 << 20;

impl Lines<'_> {
    /// The next line without its end; nothing at the end of the answer.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(end) = self.pending.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                return Ok(Some(line));
            }
            if self.pending.len() > LONGEST_LINE {
                return Err(self.foreign());
            }
            match self.response.chunk().await {
                Ok(Some(octets)) => self.pending.extend_from_slice(&octets),
                Ok(None) => return Ok(None),
                Err(error) => {
                    let within = self.client.answer_within;
                    return Err(self.client.no_answer(&error, &self.call, within, None));
                }
            }
        }
    }

    /// A line that no appliance says.
    pub(super) fn foreign(&self) -> Failure {
        let what = "it answered with lines that are not events".to_owned();
        self.client.foreign(&self.call, what)
    }
}

/// One call, and how it is called in an error.
struct Call {
    method: Method,
    url: Url,
}

impl Call {
    fn new(method: Method, path: &[&str]) -> Self {
        let mut url = Url::parse("http://appliance/").expect("a constant URL is one");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(["admin", "v1"]).extend(path);
        }
        Self { method, url }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.url.path())
    }
}

/// A refusal that needs no appliance to say it.
pub(super) fn refused_here(message: &str, tips: &[String]) -> Failure {
    let refusal = Refusal::new(Code::WrongState, message).fact("nothing was changed");
    Failure::Refused {
        refusal: tips.iter().fold(refusal, |refusal, tip| refusal.tip(tip)),
        call: "none".to_owned(),
    }
}

/// The first cause of a kind.
fn cause<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(|error| error.downcast_ref::<E>())
}

/// All causes, outermost first, each only once, in our words where we have some.
fn chain(error: &reqwest::Error) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => "there is no such socket".to_owned(),
            Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
            Some(io::ErrorKind::PermissionDenied) => "permission denied".to_owned(),
            _ => cause.to_string(),
        };
        if said.last() != Some(&text) {
            said.push(text);
        }
    }
    said
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

#[cfg(test)]
mod tests;
