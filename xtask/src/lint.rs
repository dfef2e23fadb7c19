//! `cargo xtask lint`: formatting and clippy, warnings denied.

use anyhow::{Context as _, Result};

use crate::{
    setup::{self, Scope},
    shell,
};

/// Check the formatting, and run clippy with warnings denied
#[derive(clap::Args)]
pub struct Args {
    /// Mend the formatting instead of checking it
    #[arg(long)]
    fix: bool,
}

/// The verb.
pub fn main(args: Args) -> Result<()> {
    let mut fmt = shell::cargo();
    fmt.args(["fmt", "--all"]);
    if !args.fix {
        fmt.arg("--check");
    }
    shell::run(&mut fmt).context("the formatting is off: `cargo xtask lint --fix` mends it")?;

    setup::ensure(Scope::Build)?;
    let mut clippy = shell::cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    shell::run(&mut clippy).context("clippy objects")
}
