//! `cargo xtask`: everything that is done to foobar-lb, one file a verb.
//!
//! It compiles before anything is set up, so it must never lead to the `foobar-lb` crate, whose
//! build script needs what [`setup`] brings.
#![forbid(unsafe_code)]

mod build;
mod demo;
mod lint;
mod run;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Sets up, builds, runs, shows and tests foobar-lb.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Setup(setup::Args),
    Build(build::Args),
    Run(run::Args),
    Demo(demo::Args),
    Test(test::Args),
    Lint(lint::Args),
}

fn main() -> ExitCode {
    // The demo's backends are processes of this very binary.
    foobar_lb_tests::http_server::serve_if_asked();
    run(Cli::parse().verb).unwrap_or_else(|error| {
        // Not anyhow's own report, which adds a backtrace where RUST_BACKTRACE is set.
        eprintln!("error: {error}");
        for cause in error.chain().skip(1) {
            eprintln!("  because: {cause}");
        }
        ExitCode::FAILURE
    })
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Setup(args) => setup::main(args)?,
        Verb::Build(args) => build::main(args)?,
        Verb::Run(args) => run::main(args)?,
        Verb::Demo(args) => return demo::main(args),
        Verb::Test(args) => test::main(args)?,
        Verb::Lint(args) => lint::main(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        super::Cli::command().debug_assert();
    }
}
