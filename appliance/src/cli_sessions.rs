//! The whole command line (the crate `pxe-admin`) against a real appliance on a socket: `appliance/tests/cli/*.out`. The tests
//! are the service's, because they need all of it.
//!
//! `UPDATE_GOLDEN=1` rewrites the files, and still fails, so that a change is looked at.

mod golden;
mod key;
mod leaving;
mod live;
mod publish;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use pxe_admin::{Output, run};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::admin::router;
use crate::http::unix::{AdminSocket, serve_unix};
use crate::testing::bench::Bench;

/// What a command printed, readable while it prints.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn text(&self) -> String {
        let octets = self.0.lock().expect("no panic while printing");
        String::from_utf8_lossy(&octets).into_owned()
    }
}

impl Write for Printed {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut printed = self.0.lock().expect("no panic while printing");
        printed.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An appliance that answers on its socket, and can go away and come back.
struct Served {
    bench: Bench,
    running: Option<(CancellationToken, JoinHandle<io::Result<()>>)>,
}

impl Served {
    fn new() -> Self {
        let mut served = Self {
            bench: Bench::new(),
            running: None,
        };
        served.start();
        served
    }

    fn start(&mut self) {
        let path = self.bench.folder.path().join("admin.sock");
        let socket = AdminSocket::bind(&path).expect("binds");
        let stop = CancellationToken::new();
        let router = router(self.bench.components.admin.clone());
        let task = tokio::spawn(serve_unix(socket, router, stop.clone()));
        self.running = Some((stop, task));
    }

    async fn stop(&mut self) {
        let (stop, task) = self.running.take().expect("it runs");
        stop.cancel();
        task.await.expect("no panic").expect("no fault");
    }

    /// As `pxe-admin` with these words, blanks between them.
    fn args(&self, line: &str) -> Vec<OsString> {
        let socket = self.bench.folder.path().join("admin.sock");
        let appliance = format!("--appliance=unix:{}", socket.display());
        let appliance = (!line.contains("--appliance")).then_some(appliance);
        let words = line.split_whitespace().map(ToOwned::to_owned);
        std::iter::once("pxe-admin".to_owned())
            .chain(appliance)
            .chain(words)
            .map(OsString::from)
            .collect()
    }

    /// Exit code, stdout, stderr.
    async fn run(&self, line: &str) -> (u8, String, String) {
        let (stdout, stderr) = (Printed::default(), Printed::default());
        let mut output = Output::to(Box::new(stdout.clone()), Box::new(stderr.clone()));
        let exit = run(self.args(line), &mut output).await;
        (exit, stdout.text(), stderr.text())
    }
}
