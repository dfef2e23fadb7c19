//! Debian packages: the tools of network namespaces, and real servers and clients for the tests.

use std::{fs, io, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::{Context as _, Result, bail};

use super::Scope;
use crate::shell::{self, say};

/// A program, the package that brings it, and what it is for.
struct Tool {
    program: &'static str,
    package: &'static str,
    scope: Scope,
}

/// All the programs that the demo and the tests start.
const TOOLS: [Tool; 8] = [
    Tool { program: "ip", package: "iproute2", scope: Scope::Demo },
    Tool { program: "ethtool", package: "ethtool", scope: Scope::Demo },
    Tool { program: "nsenter", package: "util-linux", scope: Scope::Demo },
    Tool { program: "setpriv", package: "util-linux", scope: Scope::Demo },
    Tool { program: "nginx", package: "nginx", scope: Scope::Test },
    Tool { program: "curl", package: "curl", scope: Scope::Test },
    Tool { program: "iperf3", package: "iperf3", scope: Scope::Test },
    Tool { program: "tcpdump", package: "tcpdump", scope: Scope::Test },
];

/// Installs the packages whose programs are missing.
pub fn ensure(scope: Scope) -> Result<()> {
    let missing: Vec<&Tool> = missing(scope, |program| shell::find(program).is_some());
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<&str> = missing.iter().map(|tool| tool.program).collect();
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    let (programs, list) = (programs.join(", "), packages.join(" "));
    if shell::find("apt-get").is_none() {
        bail!("these programs are missing: {programs}. Debian's packages for them are: {list}");
    }
    if !shell::is_root() {
        bail!("these programs are missing: {programs}. Run\n\n    sudo apt-get install {list}\n");
    }

    say(format!("{programs}: missing"));
    say(format!("running `apt-get update`, then `apt-get install {list}`"));
    let by_hand = || format!("cannot install them. By hand:\n\n    apt-get install {list}\n");
    let mut update = shell::command("apt-get");
    // A source of the machine's that does not answer need not be the one that has the packages.
    if let Err(error) = shell::run_aside(update.args(["update", "--quiet=2"])) {
        say(format!("{error:#}; trying to install all the same"));
    }
    let quiet = QuietServices::begin()?;
    let mut install = shell::command("apt-get");
    install
        .args(["install", "--yes", "--quiet=2", "--no-install-recommends", "-o=Dpkg::Use-Pty=0"])
        .args(&packages);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    shell::run_aside(&mut install).with_context(by_hand)?;
    drop(quiet);
    if packages.contains(&"nginx") && shell::find("update-rc.d").is_some() {
        say("nginx is for the tests only: running `update-rc.d nginx disable`");
        shell::run_aside(shell::command("update-rc.d").args(["nginx", "disable"]))?;
    }
    Ok(())
}

/// The tools of a scope that are not there.
fn missing(scope: Scope, is_there: impl Fn(&str) -> bool) -> Vec<&'static Tool> {
    let wanted = TOOLS.iter().filter(|tool| tool.scope <= scope);
    wanted.filter(|tool| !is_there(tool.program)).collect()
}

/// Keeps freshly installed services from starting, by Debian's own means: a policy file.
struct QuietServices {
    ours: bool,
}

impl QuietServices {
    const FILE: &str = "/usr/sbin/policy-rc.d";
    const POLICY: &str = concat!(
        "#!/bin/sh\n",
        "# Put here for a moment by foobar-lb's `cargo xtask setup`; safe to remove.\n",
        "exit 101\n",
    );

    fn begin() -> Result<Self> {
        // One that was left by a killed run is ours as well.
        if fs::read_to_string(Self::FILE).is_ok_and(|text| text == Self::POLICY) {
            return Ok(Self { ours: true });
        }
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(Self::FILE);
        match made {
            Ok(mut file) => {
                let quiet = Self { ours: true };
                io::Write::write_all(&mut file, Self::POLICY.as_bytes())
                    .with_context(|| format!("cannot write {}", Self::FILE))?;
                Ok(quiet)
            }
            // The machine has a policy of its own, which is respected.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Self { ours: false }),
            Err(error) => Err(error).with_context(|| format!("cannot make {}", Self::FILE)),
        }
    }
}

impl Drop for QuietServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(Path::new(Self::FILE))
        {
            say(format!("cannot remove {}: {error}; please do", Self::FILE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_wants_its_own_tools_and_those_before() {
        let names = |scope, there: &'static str| {
            let tools = missing(scope, |program| there.contains(program));
            tools.iter().map(|tool| tool.program).collect::<Vec<_>>()
        };
        assert_eq!(names(Scope::Build, ""), Vec::<&str>::new());
        assert_eq!(names(Scope::Demo, "ip ethtool"), ["nsenter", "setpriv"]);
        assert_eq!(
            names(Scope::Test, "ip ethtool nsenter setpriv curl"),
            ["nginx", "iperf3", "tcpdump"]
        );
    }
}
