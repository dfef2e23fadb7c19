//! Interfaces that go down, vanish and come back: the packet path follows.

use std::{fs, path::Path, thread::sleep, time::Duration};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{Lab, wait_until};

use crate::{
    cases, measured,
    support::{
        config::{NO_PROBE, QUICK_PROBE},
        stage::{PINS, SOON, Spec, Stage, nics_with_xdp},
    },
};

cases![
    a_new_interface_of_the_old_name_is_attached,
    an_interface_that_refuses_is_tried_again,
    an_interface_is_replaced_while_no_controller_runs,
    a_link_goes_down_and_up,
];

fn a_new_interface_of_the_old_name_is_attached(lab: &Lab) -> Result<()> {
    let stage = Stage::build(lab, &Spec { probe: NO_PROBE, ..Default::default() })?;
    let mut kept = stage.connection_to("b3")?;
    stage.net.remove_nic()?;
    wait_state(&stage, "missing")?;
    let status = stage.lb.status()?;
    ensure!(status.interface("eth1")?.xdp_mode.is_none(), "attached to nothing");
    ensure!(status.interface("eth0")?.state == "up");

    stage.net.insert_nic()?;
    wait_until("the new interface to be attached", SOON, || {
        let status = stage.lb.status()?;
        let interface = status.interface("eth1")?;
        ensure!(interface.state == "up", "it is {}", interface.state);
        ensure!(interface.xdp_mode.as_deref() == Some("native"), "mode {:?}", interface.xdp_mode);
        status.all_up()
    })?;
    ensure!(nics_with_xdp(&stage)? == ["eth0", "eth1"]);
    let records = stage.requests(100)?;
    ensure!(kept.get("/")?.server == "b3", "the old connection is elsewhere");
    // By the fast path, in both directions, not by way of the kernel.
    let before = stage.lb.stats()?;
    stage.requests(50)?;
    let after = stage.lb.stats()?;
    let redirected = after.reason("forwarded_redirect")? - before.reason("forwarded_redirect")?;
    ensure!(redirected >= 7 * 50, "only {redirected} packets were redirected");
    let strays = after.reason("kernel_interface")? - before.reason("kernel_interface")?;
    ensure!(strays == 0, "{strays} packets had no way out");
    let fault = stage.lb.status()?.fault;
    ensure!(fault.is_none(), "a fault is left: {fault:?}");
    measured(format!("eth1 came back, {} requests, the old connection goes on", records.len()));
    Ok(())
}

/// What stands in the way goes without a word from netlink: only trying again can find out. Probes
/// report several times a second meanwhile, and must not put the next try off.
fn an_interface_that_refuses_is_tried_again(lab: &Lab) -> Result<()> {
    let stage = Stage::build(lab, &Spec { probe: QUICK_PROBE, ..Default::default() })?;
    stage.net.remove_nic()?;
    wait_state(&stage, "missing")?;
    // A folder where the new interface's link is to be pinned, whatever its index will be.
    let links = Path::new(PINS).join("v1/links");
    let mut obstacles = vec![];
    for index in 1..=64 {
        let path = links.join(format!("{index}-native"));
        if !path.exists() {
            fs::create_dir(&path)?;
            obstacles.push(path);
        }
    }
    stage.net.insert_nic()?;
    let refused = |stage: &Stage<'_>| -> Result<String> {
        let status = stage.lb.status()?;
        ensure!(status.interface("eth1")?.xdp_mode.is_none(), "it is attached");
        let fault = status.fault.context("no fault is told")?;
        ensure!(fault.contains("v1/links/"), "{fault}");
        Ok(fault)
    };
    let fault = wait_until("the refusal to be told", SOON, || refused(&stage))?;
    // For some tries it stays told, and no plan that goes well takes it back.
    for _ in 0..15 {
        refused(&stage)?;
        sleep(Duration::from_millis(200));
    }
    for path in &obstacles {
        fs::remove_dir(path)?;
    }
    wait_until("the interface to be attached", SOON, || {
        let status = stage.lb.status()?;
        ensure!(status.interface("eth1")?.xdp_mode.as_deref() == Some("native"), "not yet");
        ensure!(status.fault.is_none(), "{:?}", status.fault);
        status.all_up()
    })?;
    let records = stage.requests(50)?;
    measured(format!("told: {fault}; then {} requests, 0 failed", records.len()));
    Ok(())
}

fn an_interface_is_replaced_while_no_controller_runs(lab: &Lab) -> Result<()> {
    let mut stage = Stage::build(lab, &Spec { probe: NO_PROBE, ..Default::default() })?;
    let mut kept = stage.connection_to("b2")?;
    stage.controller.kill()?;
    stage.net.remove_nic()?;
    stage.net.insert_nic()?;
    ensure!(nics_with_xdp(&stage)? == ["eth0"]);
    let status = stage.start_controller()?;
    ensure!(status.adopted && status.fault.is_none(), "{:?}", status.fault);
    ensure!(nics_with_xdp(&stage)? == ["eth0", "eth1"]);
    let links = fs::read_dir(Path::new(PINS).join("v1/links"))?.count();
    ensure!(links == 2, "{links} links are pinned: the old interface's is left");
    let records = stage.requests(50)?;
    ensure!(kept.get("/")?.server == "b2", "the old connection is elsewhere");
    measured(format!("eth1 was attached anew, {} requests, 0 failed", records.len()));
    Ok(())
}

fn a_link_goes_down_and_up(lab: &Lab) -> Result<()> {
    let stage = Stage::build(lab, &Spec { probe: NO_PROBE, ..Default::default() })?;
    let mut kept = stage.connection_to("b1")?;
    stage.net.balancer.ip("link set eth1 down")?;
    wait_state(&stage, "down")?;
    stage.net.balancer.ip("link set eth1 up")?;
    wait_state(&stage, "up")?;
    let records = stage.requests(100)?;
    ensure!(kept.get("/")?.server == "b1", "the old connection is elsewhere");
    let events = stage.lb.status()?.events;
    for text in ["interface eth1 is down", "interface eth1 is up"] {
        ensure!(events.iter().any(|event| event.text == text), "no event says {text:?}");
    }
    measured(format!("down and up, then {} requests, the old connection goes on", records.len()));
    Ok(())
}

fn wait_state(stage: &Stage<'_>, wanted: &str) -> Result<()> {
    wait_until(&format!("eth1 to be {wanted}"), SOON, || {
        let state = stage.lb.status()?.interface("eth1")?.state.clone();
        ensure!(state == wanted, "it is {state}");
        Ok(())
    })
}
