//! QEMU's machine protocol over its stdin and stdout: the power switch, the reset button, and hands on the disks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

pub struct Qmp {
    to: ChildStdin,
    from: Receiver<Value>,
}

impl Qmp {
    /// Takes over the child's stdin and stdout (`-qmp stdio`).
    pub fn new(child: &mut Child) -> anyhow::Result<Self> {
        let to = child.stdin.take().context("QEMU has no stdin")?;
        let from = BufReader::new(child.stdout.take().context("QEMU has no stdout")?);
        let (send, receive) = channel();
        std::thread::spawn(move || {
            let lines = from.lines().map_while(Result::ok);
            for value in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if send.send(value).is_err() {
                    break;
                }
            }
        });
        let mut qmp = Self { to, from: receive };
        qmp.answer(|message| message.get("QMP").is_some())?;
        qmp.execute("qmp_capabilities")?;
        Ok(qmp)
    }

    /// Runs a command without arguments.
    pub fn execute(&mut self, command: &str) -> anyhow::Result<Value> {
        self.execute_with(command, &json!({}))
    }

    pub fn execute_with(&mut self, command: &str, arguments: &Value) -> anyhow::Result<Value> {
        let message = json!({ "execute": command, "arguments": arguments });
        writeln!(self.to, "{message}").context("QEMU does not listen any more")?;
        let answer = self.answer(|m| m.get("return").is_some() || m.get("error").is_some())?;
        match answer.get("error") {
            Some(error) => bail!("QEMU refused `{command}`: {error}"),
            None => Ok(answer["return"].clone()),
        }
    }

    fn answer(&mut self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        loop {
            match self.from.recv_timeout(LIMIT) {
                Ok(message) if wanted(&message) => return Ok(message),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    bail!("QEMU did not answer within {} s", LIMIT.as_secs())
                }
                Err(RecvTimeoutError::Disconnected) => bail!("QEMU ended; see its log"),
            }
        }
    }
}
