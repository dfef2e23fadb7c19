//! The network of a lab: a namespace of the thread's own, with the balancer's two interfaces.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, unshare};

use crate::{
    given::Machine,
    ground::{NEIGHBOURS, Side, mac_of},
};

/// Two veth pairs, of which the balancer's ends are ours; says their interface indices.
pub fn build(machine: &Machine) -> Result<[u32; 2]> {
    unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
    // A kernel without IPv6 has none to turn off; one with it would send frames of its own.
    for scope in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
    let mut lines = vec!["link set lo up".to_owned()];
    for (side, address) in [(Side::Client, "198.51.100.1/24"), (Side::Backend, "10.0.0.1/24")] {
        let (device, peer) = (side.interface(), format!("{}peer", side.interface()));
        let mac = side.mac().map(|byte| format!("{byte:02x}")).join(":");
        lines.push(format!("link add {device} address {mac} type veth peer name {peer}"));
        lines.push(format!("link set {device} up"));
        lines.push(format!("link set {peer} arp off up"));
        lines.push(format!("addr add {address} dev {device}"));
    }
    for &(side, address) in NEIGHBOURS {
        let mac = mac_of(address).map(|byte| format!("{byte:02x}")).join(":");
        let (address, device) = (std::net::Ipv4Addr::from(address), side.interface());
        lines.push(format!("neigh replace {address} lladdr {mac} dev {device}"));
    }
    lines.extend(machine.ip.iter().cloned());
    ip(&lines)?;
    let forwarding = [("ip_forward".to_owned(), "1")];
    for (name, value) in forwarding.iter().chain(&machine.sysctls) {
        let file = format!("/proc/sys/net/ipv4/{name}");
        fs::write(&file, value).with_context(|| format!("cannot write {file}"))?;
    }
    let index = |side: Side| nix::net::if_::if_nametoindex(side.interface());
    Ok([index(Side::Client)?, index(Side::Backend)?])
}

/// Runs lines of `ip` commands, without the word `ip`.
pub fn ip(lines: &[String]) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start `ip` (Debian's package iproute2)")?;
    let batch = lines.join("\n") + "\n";
    child.stdin.take().context("a pipe")?.write_all(batch.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`ip -batch` failed: {}\n{batch}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
