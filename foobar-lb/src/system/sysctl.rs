//! The sysctls that the forwarding mode `nat` needs on the attached interfaces.
//!
//! | key | why |
//! |---|---|
//! | `forwarding` = 1 | `bpf_fib_lookup` refuses otherwise, and so does the stack, which resolves unknown neighbours |
//! | `accept_local` = 1 | the stack would drop a reply that has the service's own address as its source, where that is an address of this host |
//! | `rp_filter` = 2 where it is 1 | a packet may come in by one interface and the route back lead over another |
//!
//! Everything goes through `/proc/sys`, which shows the network namespace of the calling thread.
//! Source: <https://www.kernel.org/doc/Documentation/networking/ip-sysctl.rst>.
#![forbid(unsafe_code)]

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

const ROOT: &str = "/proc/sys/net/ipv4/conf";

/// What goes wrong with a sysctl.
#[derive(Debug, Error)]
pub enum SysctlError {
    /// The name is none of an interface's.
    #[error("{0:?} is not the name of one interface")]
    Name(String),
    /// It cannot be read.
    #[error("cannot read {}: {source}; does the interface still exist in this network namespace?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It holds no number.
    #[error("{} holds {text:?}, which is no number", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
    /// It cannot be set.
    #[error("cannot set {}: {source}; set it from outside with `{}`, or let foobar-lb leave sysctls alone by its configuration", finding.key, finding.command())]
    Write {
        /// What was to be set.
        finding: Finding,
        /// The system's error.
        source: io::Error,
    },
}

/// A sysctl that is, or was, other than needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// As sysctl(8) takes it, with dots, or with slashes where the interface's name has dots.
    pub key: String,
    /// The value found.
    pub old: i64,
    /// The value needed.
    pub new: i64,
    /// What it is needed for.
    pub why: &'static str,
    /// Whether it has been set.
    pub set: bool,
}

impl Finding {
    /// What an operator types to set it.
    pub fn command(&self) -> String {
        format!("sysctl -w {}={}", self.key, self.new)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, old, new, why, set } = self;
        if *set {
            write!(f, "set {key} from {old} to {new}: {why}")
        } else {
            write!(f, "{key} is {old}, but {why}: run `{}`", self.command())
        }
    }
}

/// Finds what `interfaces` need, and sets it if `manage` is true. Empty when all is well.
///
/// # Errors
///
/// The first sysctl that cannot be read or set; those before it are set.
pub fn ensure(
    interfaces: impl IntoIterator<Item = impl AsRef<str>>,
    manage: bool,
) -> Result<Vec<Finding>, SysctlError> {
    let conf = Conf { root: PathBuf::from(ROOT) };
    let mut findings = Vec::new();
    for interface in interfaces {
        for (name, mut finding) in conf.needs(interface.as_ref())? {
            if manage {
                let path = conf.path(interface.as_ref(), name);
                if let Err(source) = fs::write(path, finding.new.to_string()) {
                    return Err(SysctlError::Write { finding, source });
                }
                finding.set = true;
            }
            findings.push(finding);
        }
    }
    Ok(findings)
}

/// `/proc/sys/net/ipv4/conf`, or what stands in for it.
struct Conf {
    root: PathBuf,
}

impl Conf {
    /// The sysctls by name in which `interface` lacks something.
    fn needs(&self, interface: &str) -> Result<Vec<(&'static str, Finding)>, SysctlError> {
        // `all` and `default` are folders there too, but no interfaces: setting them would change
        // the whole host.
        if matches!(interface, "" | "." | ".." | "all" | "default") || interface.contains('/') {
            return Err(SysctlError::Name(interface.into()));
        }
        let mut needs = Vec::new();
        let mut need = |name, old, new, why| {
            let key = key(interface, name);
            needs.push((name, Finding { key, old, new, why, set: false }));
        };
        // Only the interface's own value counts.
        let forwarding = self.read(interface, "forwarding")?;
        if forwarding == 0 {
            need(
                "forwarding",
                forwarding,
                1,
                "packets for backends are forwarded between clients and them",
            );
        }
        // Either value counts.
        let accept_local = self.read(interface, "accept_local")?;
        if accept_local == 0 && self.read("all", "accept_local")? == 0 {
            need(
                "accept_local",
                accept_local,
                1,
                "replies that the stack forwards have a service's address as their source",
            );
        }
        // The larger value counts, and only 1 is strict.
        let rp_filter = self.read(interface, "rp_filter")?;
        if rp_filter.max(self.read("all", "rp_filter")?) == 1 {
            need(
                "rp_filter",
                rp_filter,
                2,
                "the way to a packet's source may lead over another interface",
            );
        }
        Ok(needs)
    }

    fn read(&self, interface: &str, name: &str) -> Result<i64, SysctlError> {
        let path = self.path(interface, name);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| SysctlError::Parse { path, text }),
            Err(source) => Err(SysctlError::Read { path, source }),
        }
    }

    fn path(&self, interface: &str, name: &str) -> PathBuf {
        self.root.join(interface).join(Path::new(name))
    }
}

/// sysctl(8) takes slashes instead of dots, and then leaves the dots of a name alone.
fn key(interface: &str, name: &str) -> String {
    let separator = if interface.contains('.') { "/" } else { "." };
    ["net", "ipv4", "conf", interface, name].join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{Pair, in_namespace, ip};

    #[test]
    fn sets_what_is_needed_once() {
        in_namespace(async |namespace| {
            let _pair = Pair::new(namespace);
            // Names with dots are usual: VLANs.
            ip("link add eth0.10 type veth peer name peer");
            for (interface, key) in [
                ("lb0", "net.ipv4.conf.lb0.forwarding"),
                ("eth0.10", "net/ipv4/conf/eth0.10/forwarding"),
            ] {
                let folder = Path::new(ROOT).join(interface);
                for (name, value) in
                    [("forwarding", "0"), ("accept_local", "0"), ("rp_filter", "1")]
                {
                    fs::write(folder.join(name), value).unwrap();
                }
                let found = ensure([interface], false).unwrap();
                assert_eq!(found.len(), 3, "{found:?}");
                assert_eq!(found[0].command(), format!("sysctl -w {key}=1"));
                assert_eq!((found[2].old, found[2].new), (1, 2));
                assert!(found.iter().all(|finding| !finding.set));
                assert_eq!(fs::read_to_string(folder.join("forwarding")).unwrap(), "0\n");

                let set = ensure([interface], true).unwrap();
                assert_eq!(set.len(), 3);
                assert!(set.iter().all(|finding| finding.set));
                assert_eq!(fs::read_to_string(folder.join("rp_filter")).unwrap(), "2\n");
                assert_eq!(ensure([interface], true).unwrap(), []);
            }
        });
    }

    #[test]
    fn what_holds_for_all_interfaces_counts_as_the_kernel_counts_it() {
        let folder = tempfile::tempdir().unwrap();
        let conf = Conf { root: folder.path().into() };
        let needs = |all: [i64; 3], own: [i64; 3]| {
            for (interface, values) in [("all", all), ("eth0", own)] {
                fs::create_dir_all(folder.path().join(interface)).unwrap();
                for (name, value) in ["forwarding", "accept_local", "rp_filter"].iter().zip(values)
                {
                    fs::write(conf.path(interface, name), format!("{value}\n")).unwrap();
                }
            }
            let needs = conf.needs("eth0").unwrap();
            needs.into_iter().map(|(name, finding)| (name, finding.new)).collect::<Vec<_>>()
        };
        assert_eq!(needs([0, 0, 0], [1, 1, 0]), []);
        assert_eq!(needs([1, 1, 2], [0, 0, 1]), [("forwarding", 1)]);
        assert_eq!(needs([0, 0, 1], [1, 0, 0]), [("accept_local", 1), ("rp_filter", 2)]);
        assert_eq!(needs([0, 0, 0], [1, 1, 1]), [("rp_filter", 2)]);
    }

    #[test]
    fn refuses_what_is_not_one_interface() {
        for name in ["", "all", "default", "..", "../../kernel"] {
            assert!(matches!(ensure([name], true), Err(SysctlError::Name(_))), "{name}");
        }
        assert!(matches!(ensure(["no-such-one"], true), Err(SysctlError::Read { .. })));
    }
}
