//! `cargo xtask build`: the packet path and, with it inside, the controller.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{
    setup::{self, Scope},
    shell,
};

/// Build foobar-lb: the packet path for BPF, and the controller that carries it inside
#[derive(clap::Args)]
pub struct Args {
    /// Optimise the controller (the packet path always is)
    #[arg(long)]
    release: bool,
}

/// The verb.
pub fn main(args: Args) -> Result<()> {
    setup::ensure(Scope::Build)?;
    let binary = foobar_lb(args.release)?;
    println!("{}", binary.display());
    Ok(())
}

/// Builds the `foobar-lb` binary and returns where it is.
pub fn foobar_lb(release: bool) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--package", "foobar-lb", "--bin", "foobar-lb"]);
    if release {
        cargo.arg("--release");
    }
    shell::run_aside(&mut cargo).context("foobar-lb does not build")?;
    let profile = if release { "release" } else { "debug" };
    Ok(target_folder()?.join(profile).join("foobar-lb"))
}

/// Cargo's target folder: this binary is in `TARGET/PROFILE/`.
fn target_folder() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this binary is")?;
    let folder = this.ancestors().nth(2).context("this binary is not in Cargo's target folder")?;
    Ok(folder.to_path_buf())
}
