//! `cargo xtask setup`: brings what building, showing and testing need, and nothing twice.
//!
//! Every thing is checked first, so that a second run is quick and needs no network. Whatever is
//! brought is said aloud before.

mod apt;
mod bpf_linker;
mod packages;
mod rust_src;

use anyhow::Result;
use clap::ValueEnum;

use crate::shell::say;

/// Bring what is missing: rust-src, bpf-linker, and Debian packages
///
/// Every other verb calls this for what it needs; to call it by hand is to be ready beforehand.
#[derive(clap::Args)]
pub struct Args {
    /// What to be ready for; each includes those before it
    #[arg(value_enum, default_value_t = Scope::Test)]
    scope: Scope,
}

/// What a verb needs; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scope {
    /// rust-src and bpf-linker.
    Build,
    /// The tools of network namespaces, too.
    Demo,
    /// Real servers, clients and tcpdump, too.
    Test,
}

/// The verb.
pub fn main(args: Args) -> Result<()> {
    ensure(args.scope)?;
    let verbs = match args.scope {
        Scope::Build => "build, run and lint",
        Scope::Demo => "build, run, lint and demo",
        Scope::Test => "build, run, lint, demo and test",
    };
    say(format!("all is there for {verbs}"));
    Ok(())
}

/// Brings what is missing for `scope`; silent when nothing is.
pub fn ensure(scope: Scope) -> Result<()> {
    rust_src::ensure()?;
    bpf_linker::ensure()?;
    packages::ensure(scope)
}
