//! The command line: one file a subcommand. Parses, asks the controller, prints.
#![forbid(unsafe_code)]

mod backend;
mod check;
mod exit;
mod output;
mod run;
mod service;
mod stats;
mod status;
mod unload;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    api::{Client, SOCKET},
    config::words::{Word, words},
};

pub use exit::EXIT_CODES;

/// The heading of the options that every subcommand takes.
const GLOBAL: &str = "Global options";

/// foobar-lb: a layer-4 load balancer in XDP.
#[derive(Debug, Parser)]
#[command(name = "foobar-lb", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// The controller's Unix socket
    #[arg(long, global = true, value_name = "PATH", default_value = SOCKET, help_heading = GLOBAL)]
    socket: PathBuf,

    /// How lists and answers are printed
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = GLOBAL)]
    output: Format,

    #[command(subcommand)]
    command: Command,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: stable columns
    Table,
    /// For programs: one JSON object
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load the packet path, or take over a running one, and control it until a signal ends this
    ///
    /// The packet path goes on when the controller ends, however it ends; the next controller takes
    /// it over without losing a packet. SIGHUP reloads the configuration file. `foobar-lb unload`
    /// removes everything.
    Run(run::Arguments),
    /// Check a configuration file: exit code 0 if it is good, 1 if not
    Check(check::Arguments),
    /// Show the controller, its interfaces, services, backends and recent events
    Status,
    /// List, add or remove services
    #[command(subcommand)]
    Service(service::Command),
    /// List, add, remove or change backends
    #[command(subcommand)]
    Backend(backend::Command),
    /// Show traffic by service and backend, and packets by reason
    Stats(stats::Arguments),
    /// Read the configuration file again, as SIGHUP does
    Reload,
    /// Detach from all interfaces and remove every pin; ends a running controller
    Unload(unload::Arguments),
}

impl Cli {
    /// Does what the command line says.
    pub async fn execute(self) -> ExitCode {
        let Self { socket, output, command } = self;
        let client = Client::new(socket.clone());
        let result = match command {
            Command::Run(arguments) => run::run(arguments, socket).await,
            Command::Check(arguments) => check::run(&arguments, output),
            Command::Status => status::run(&client, output).await,
            Command::Service(command) => service::run(&client, command, output).await,
            Command::Backend(command) => backend::run(&client, command, output).await,
            Command::Stats(arguments) => stats::run(&client, &arguments, output).await,
            Command::Reload => service::reload(&client, output).await,
            Command::Unload(arguments) => unload::run(&client, arguments, output).await,
        };
        exit::code(result)
    }
}

/// Reads one of the words that the configuration file takes, too.
fn word<W: Word>(text: &str) -> Result<W, String> {
    W::ALL
        .iter()
        .copied()
        .find(|word| word.to_string() == text)
        .ok_or_else(|| format!("it is one of: {}", words::<W>().join(", ")))
}
