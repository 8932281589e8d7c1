//! An answer of one line after the other, such as the stream of events.

use reqwest::Response;

use super::{AdminCall, AdminClient};
use crate::failure::Failure;

/// The lines of an answer that goes on for as long as the connection does.
pub(crate) struct LineStream<'a> {
    client: &'a AdminClient,
    call: AdminCall,
    response: Response,
    pending: Vec<u8>,
}

/// Bytes of the longest line: an event holds at most one body, and its plan.
const LONGEST_LINE: usize = 4 << 20;

impl<'a> LineStream<'a> {
    pub(super) fn new(client: &'a AdminClient, call: AdminCall, response: Response) -> Self {
        Self {
            client,
            call,
            response,
            pending: Vec::new(),
        }
    }

    /// The next line without its end; `None` at the end of the answer.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Failure> {
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

    /// The failure of a line that no appliance says.
    pub(crate) fn foreign(&self) -> Failure {
        let what = "it answered with lines that are not events".to_owned();
        self.client.foreign(&self.call, what)
    }
}
