//! Compiles the packet path for BPF, so that the controller carries it inside.

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain};

fn main() -> Result<()> {
    let manifest_dir =
        std::env::var("CARGO_MANIFEST_DIR").context("cargo sets CARGO_MANIFEST_DIR")?;
    let packet_path = format!("{manifest_dir}/../foobar-lb-ebpf");
    println!("cargo:rerun-if-changed={manifest_dir}/../foobar-lb-common");

    // rustup names the toolchain that runs this build; the nested build must use the same one,
    // because rust-src has to be of rustc's own version.
    let toolchain = std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".to_owned());

    // `-Z build-std=core` on a stable compiler. The variable is confined to this process and the
    // cargo that it starts: nothing else of the workspace may use unstable features.
    // SAFETY: a build script's main is the process's only thread here.
    unsafe { std::env::set_var("RUSTC_BOOTSTRAP", "1") };
    aya_build::build_ebpf(
        [Package { name: "foobar-lb-ebpf", root_dir: &packet_path, ..Default::default() }],
        Toolchain::Custom(&toolchain),
    )
    .context(
        "the packet path did not compile for BPF; `cargo xtask setup` brings what it needs \
         (rust-src in rustc's own version, bpf-linker)",
    )
}
