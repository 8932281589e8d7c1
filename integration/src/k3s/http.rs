//! HTTP/1.1 messages with a length, one on each connection: all that the join protocol needs.

use std::io::{BufRead, BufReader, Read, Write};

use anyhow::{Context as _, bail};

const MOST_HEAD: u64 = 16 << 10;
const MOST_BODY: usize = 1 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl HttpRequest {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            ..Self::default()
        }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Reads one request. `None` if the connection ends before its first byte.
    pub fn read(from: impl Read) -> anyhow::Result<Option<Self>> {
        let mut from = BufReader::new(from);
        let Some((first, headers)) = head(&mut from)? else {
            return Ok(None);
        };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            bail!("`{}` is not a request line", first.escape_debug());
        };
        if !version.starts_with("HTTP/1.") {
            bail!("speaks `{}`, not HTTP/1", version.escape_debug());
        }
        let path = target.split('?').next().unwrap_or(target).to_owned();
        let body = body(&mut from, length(&headers)?.unwrap_or(0))?;
        Ok(Some(Self {
            method: method.to_owned(),
            path,
            headers,
            body,
        }))
    }

    pub fn write(&self, host: &str, mut to: impl Write) -> std::io::Result<()> {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!(
            "content-length: {}\r\nconnection: close\r\n\r\n",
            self.body.len()
        ));
        to.write_all(text.as_bytes())?;
        to.write_all(&self.body)?;
        to.flush()
    }
}

impl HttpResponse {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: content_type.to_owned(),
            body: body.into(),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }

    pub fn write(&self, mut to: impl Write) -> std::io::Result<()> {
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            self.status,
            reason(self.status),
            self.content_type,
            self.body.len()
        );
        to.write_all(head.as_bytes())?;
        to.write_all(&self.body)?;
        to.flush()
    }

    pub fn read(from: impl Read) -> anyhow::Result<Self> {
        let mut from = BufReader::new(from);
        let (first, headers) = head(&mut from)?.context("the server closed without an answer")?;
        let status = first
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .with_context(|| format!("`{}` is not a status line", first.escape_debug()))?;
        let length = length(&headers)?.context("the answer has no length")?;
        let content_type = headers.iter().find(|(name, _)| name == "content-type");
        Ok(Self {
            status,
            content_type: content_type.map(|(_, v)| v.clone()).unwrap_or_default(),
            body: body(&mut from, length)?,
        })
    }
}

type Head = (String, Vec<(String, String)>);

fn head(from: &mut impl BufRead) -> anyhow::Result<Option<Head>> {
    let mut from = from.take(MOST_HEAD);
    let mut first = String::new();
    if from.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            bail!("the head is cut off, or over {MOST_HEAD} octets");
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some((first.trim_end().to_owned(), headers)));
        }
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn length(headers: &[(String, String)]) -> anyhow::Result<Option<usize>> {
    if headers.iter().any(|(name, _)| name == "transfer-encoding") {
        bail!("sends a body without a length");
    }
    let Some((_, text)) = headers.iter().find(|(name, _)| name == "content-length") else {
        return Ok(None);
    };
    match text.parse() {
        Ok(length) if length <= MOST_BODY => Ok(Some(length)),
        _ => bail!("a body of `{}` octets is not taken", text.escape_debug()),
    }
}

fn body(from: &mut impl Read, length: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = vec![0; length];
    from.read_exact(&mut body).context("the body is cut off")?;
    Ok(body)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut request = HttpRequest::new("PATCH", "/api/v1/nodes/node1/status")
            .with("Authorization", "Basic bm9kZTp4")
            .with("k3s-Node-Name", "node1");
        request.body = b"{}".to_vec();
        let mut wire = Vec::new();
        request.write("10.77.0.10:6443", &mut wire).unwrap();
        let got = HttpRequest::read(wire.as_slice()).unwrap().unwrap();
        assert_eq!(
            (&got.method, &got.path, &got.body),
            (&request.method, &request.path, &request.body)
        );
        assert_eq!(got.header("K3S-node-name"), Some("node1"));

        let response = HttpResponse::new(403, "text/plain", "Node password rejected");
        let mut wire = Vec::new();
        response.write(&mut wire).unwrap();
        assert_eq!(HttpResponse::read(wire.as_slice()).unwrap(), response);
    }

    #[test]
    fn a_message_cut_anywhere_is_an_error_and_not_a_request() {
        let whole = b"POST /x HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(HttpRequest::read(&whole[..0]).unwrap(), None);
        for end in 1..whole.len() {
            assert!(HttpRequest::read(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(HttpRequest::read(&whole[..]).unwrap().is_some());
    }

    #[test]
    fn what_has_no_bounds_is_refused() {
        let cases = [
            (
                "chunks",
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
            ),
            (
                "a huge body",
                "POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n".to_owned(),
            ),
            (
                "a negative body",
                "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_owned(),
            ),
            (
                "an endless head",
                format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(20_000)),
            ),
            ("another protocol", "HELO there SMTP\r\n\r\n".to_owned()),
        ];
        for (name, text) in cases {
            assert!(HttpRequest::read(text.as_bytes()).is_err(), "{name}");
        }
    }
}
