//! The binary: parses the command line and does what it says.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use foobar_lb::cli::Cli;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    Cli::parse().execute().await
}
