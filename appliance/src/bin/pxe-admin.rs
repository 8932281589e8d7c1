//! The operator's command line; all of it is in `appliance::admin`.

use std::process::ExitCode;

use appliance::admin::{Output, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os(), &mut Output::real()).await)
}
