//! With `manage_sysctls = false` foobar-lb says what is wrong, and sets nothing.

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::Lab;

use crate::{
    cases, measured,
    support::{
        config::NO_PROBE,
        stage::{Spec, Stage},
    },
};

cases![unmanaged_sysctls_are_told_not_set, managed_sysctls_are_set];

const UNMANAGED: &str = "[global]\nmanage_sysctls = false\n\n";
const NEEDED: [&str; 4] = [
    "net/ipv4/conf/eth0/forwarding",
    "net/ipv4/conf/eth0/accept_local",
    "net/ipv4/conf/eth1/forwarding",
    "net/ipv4/conf/eth1/accept_local",
];

fn unmanaged_sysctls_are_told_not_set(lab: &Lab) -> Result<()> {
    let stage =
        Stage::build(lab, &Spec { probe: NO_PROBE, head: UNMANAGED, ..Default::default() })?;
    for sysctl in NEEDED {
        ensure!(read(&stage, sysctl)? == "0", "{sysctl} was set");
    }
    // The very commands that it tells bring traffic to life.
    let log = stage.controller.log();
    let mut told = vec![];
    for command in log.split("`sysctl -w ").skip(1) {
        let (setting, _) = command.split_once('`').context("the command's end")?;
        let (key, value) = setting.split_once('=').context("a value")?;
        told.push((key.replace('.', "/"), value.to_owned()));
    }
    for sysctl in NEEDED {
        let found = told.iter().any(|(key, value)| key == sysctl && value == "1");
        ensure!(found, "{sysctl} is not told; told are {told:?}");
    }
    for (key, value) in &told {
        stage.net.balancer.sysctl(key, value)?;
    }
    let records = stage.requests(30)?;
    measured(format!(
        "told {} commands; after them {} requests, 0 failed",
        told.len(),
        records.len()
    ));
    Ok(())
}

fn managed_sysctls_are_set(lab: &Lab) -> Result<()> {
    let stage = Stage::build(lab, &Spec { probe: NO_PROBE, ..Default::default() })?;
    for sysctl in NEEDED {
        ensure!(read(&stage, sysctl)? == "1", "{sysctl} was not set");
    }
    let log = stage.controller.log();
    ensure!(log.contains("set net.ipv4.conf.eth1.accept_local from 0 to 1"), "the log is silent");
    // No more than what is needed: the machine's other interfaces are none of its business.
    for sysctl in ["net/ipv4/conf/lo/forwarding", "net/ipv4/conf/default/forwarding"] {
        ensure!(read(&stage, sysctl)? == "0", "{sysctl} was set");
    }
    measured(format!("{} sysctls", NEEDED.len()));
    Ok(())
}

fn read(stage: &Stage<'_>, sysctl: &str) -> Result<String> {
    let file = format!("/proc/sys/{sysctl}");
    let text = stage.net.balancer.enter(|| std::fs::read_to_string(&file))?;
    Ok(text.with_context(|| file.clone())?.trim().to_owned())
}
