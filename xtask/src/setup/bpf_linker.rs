//! bpf-linker, in the version that goes with the pinned rustc.

use anyhow::{Context as _, Result, ensure};

use crate::shell::{self, say};

/// Uses rustc's own LLVM; later releases want a system LLVM, older ones are older than rustc's.
const VERSION: &str = "0.10.4";

/// Builds bpf-linker, unless a fitting one is there.
pub fn ensure() -> Result<()> {
    let found = installed();
    if found.as_deref().is_some_and(fits) {
        return Ok(());
    }
    match found {
        Some(other) => say(format!("bpf-linker is {other}; foobar-lb needs {VERSION}")),
        None => say("bpf-linker is missing"),
    }
    say(format!(
        "running `cargo install bpf-linker --version {VERSION} --locked` (a minute or two)"
    ));
    let mut cargo = shell::cargo();
    cargo.args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force"]);
    // Into the shared folder of programs, not the workspace's, whatever the workspace's target is.
    cargo.current_dir("/").env_remove("CARGO_TARGET_DIR");
    shell::run_aside(&mut cargo).with_context(|| {
        format!(
            "cannot bring bpf-linker. Bring it by hand:\n\n    \
             cargo install bpf-linker --version {VERSION} --locked\n"
        )
    })?;
    let now = installed().context("bpf-linker was installed, but does not run")?;
    ensure!(
        fits(&now),
        "bpf-linker {now} comes first in PATH; foobar-lb needs {VERSION}: remove the other"
    );
    Ok(())
}

/// The version of the bpf-linker in reach.
fn installed() -> Option<String> {
    shell::find("bpf-linker")?;
    let text = shell::read(shell::command("bpf-linker").arg("--version")).ok()?;
    Some(text.split_whitespace().nth(1)?.to_owned())
}

/// Whether a version is of the series that is known to work.
fn fits(version: &str) -> bool {
    let mut parts = version.split('.');
    (parts.next(), parts.next()) == (Some("0"), Some("10"))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn only_the_series_that_goes_with_rustc_fits() {
        assert!(fits("0.10.4"));
        assert!(fits("0.10.5"));
        assert!(!fits("0.9.15"));
        assert!(!fits("0.11.0"));
        assert!(!fits("1.10.0"));
        assert!(!fits(""));
    }
}
