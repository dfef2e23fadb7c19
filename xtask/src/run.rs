//! `cargo xtask run`: builds foobar-lb and becomes it.

use std::{os::unix::process::CommandExt as _, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    build,
    setup::{self, Scope},
    shell,
};

/// Build foobar-lb and run its controller on this machine's NICs
#[derive(clap::Args)]
pub struct Args {
    /// A NIC to attach the packet path to; repeat it for more
    #[arg(long, value_name = "NIC", required = true)]
    iface: Vec<String>,
    /// The configuration; without it, foobar-lb's own default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Optimise the controller (the packet path always is)
    #[arg(long)]
    release: bool,
    /// More arguments for `foobar-lb run`
    #[arg(last = true, value_name = "ARGS")]
    more: Vec<String>,
}

/// The verb. Returns only when it fails: the process becomes `foobar-lb run`, signals and all.
pub fn main(args: Args) -> Result<()> {
    shell::need_root("run …", "it loads XDP programs")?;
    setup::ensure(Scope::Build)?;
    let binary = build::foobar_lb(args.release)?;
    let mut command = std::process::Command::new(&binary);
    command.arg("run");
    for nic in &args.iface {
        command.args(["--iface", nic]);
    }
    if let Some(config) = &args.config {
        command.arg("--config").arg(config);
    }
    command.args(&args.more);
    Err(command.exec()).with_context(|| format!("cannot become {}", binary.display()))
}
