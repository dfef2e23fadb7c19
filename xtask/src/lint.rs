//! `cargo xtask lint`: formatting, and clippy for the host and for BPF, warnings denied.

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
    shell::run(&mut clippy).context("clippy objects")?;

    // The modules of the packet path that only exist for BPF. As in foobar-lb's build script, the
    // unstable `build-std` is confined to the nested cargo.
    let mut clippy = shell::cargo();
    clippy
        .args(["clippy", "--package", "foobar-lb-ebpf", "--target", "bpfel-unknown-none"])
        .args(["-Z", "build-std=core", "--target-dir", "target/bpf-lint"])
        .args(["--", "-D", "warnings"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", "--cfg=bpf_target_arch=\"x86_64\"");
    shell::run(&mut clippy).context("clippy objects to the packet path")
}
