//! What can go wrong between the controller and the kernel.

use std::{io, path::PathBuf};

use thiserror::Error;

/// An error of the kernel's side, with its cure where there is one.
#[derive(Debug, Error)]
pub enum DataplaneError {
    /// The object inside this binary has no such program.
    #[error(
        "this binary carries no packet path: it was built with AYA_BUILD_SKIP; build it again without"
    )]
    NoProgram,
    /// The verifier or the kernel refused the program.
    #[error("the kernel refused the packet path: {0}")]
    Program(#[from] aya::programs::ProgramError),
    /// The object could not be loaded.
    #[error("the packet path could not be loaded: {0}")]
    Load(#[from] aya::EbpfError),
    /// A map could not be read or written.
    #[error("map `{map}`: {source}")]
    Map {
        /// The map's name.
        map: &'static str,
        /// What the kernel said.
        source: aya::maps::MapError,
    },
    /// The packet path has no such map.
    #[error("the packet path has no map `{0}`")]
    NoMap(&'static str),
    /// Something could not be pinned.
    #[error("pinning below {}: {source}", path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: aya::pin::PinError,
    },
    /// A file or folder of the pins.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another controller works on these pins.
    #[error(
        "another foobar-lb controller works on {}; end it first, or choose another --pin-root",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Pins of another version of foobar-lb.
    #[error(
        "{} holds the maps of another version of foobar-lb (this one reads layout v{}); \
         end its controller and run `foobar-lb unload`, which stops the balancing until this one runs",
        path.display(), foobar_lb_common::limits::LAYOUT_VERSION
    )]
    OtherLayout {
        /// The folder that was found.
        path: PathBuf,
    },
    /// A pinned map that this version cannot read, or of another size than configured.
    #[error(
        "the pinned map {} has {what} {found}, and this foobar-lb needs {wanted}; \
         it was left alone. To start afresh, run `foobar-lb unload`, which forgets all flows",
        path.display()
    )]
    OtherMap {
        /// The pin.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the pinned map has.
        found: String,
        /// What is needed.
        wanted: String,
    },
    /// A limit that is not what the pinned maps were made with.
    #[error(
        "limits.{limit} is {wanted}, but the loaded maps were made for {found} ({}): limits cannot \
         change while the maps are loaded; restore it, or run `foobar-lb unload`, which forgets all \
         flows, and start anew", path.display()
    )]
    OtherLimit {
        /// The pin.
        path: PathBuf,
        /// The key below `[limits]`.
        limit: &'static str,
        /// What the maps were made for.
        found: u32,
        /// What is configured.
        wanted: u32,
    },
    /// The interface refused the program.
    #[error("{interface}: the XDP program cannot be attached in {mode} mode: {said}{cure}")]
    Attach {
        /// The interface's name.
        interface: String,
        /// The mode that was tried.
        mode: super::XdpMode,
        /// What the kernel said.
        refusal: aya::programs::ProgramError,
        /// The same, in short.
        said: String,
        /// What to do, beginning with "; ".
        cure: String,
    },
    /// A link could not be taken over.
    #[error("{}: the pinned link cannot be taken over: {source}", path.display())]
    Link {
        /// The pin.
        path: PathBuf,
        /// What the kernel said.
        source: aya::programs::links::LinkError,
    },
    /// Reading packet logs.
    #[error("the packet log cannot be read: {0}")]
    Log(#[from] aya_log::Error),
}
