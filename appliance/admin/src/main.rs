//! The program `pxe-admin`; all of it is in the library.

use std::process::ExitCode;

use pxe_admin::{Output, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os(), &mut Output::real()).await)
}
