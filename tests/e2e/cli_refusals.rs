//! Starts that are refused, each with the reason and the cure, while what runs goes on.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::Lab;

use crate::{
    cases, measured,
    support::stage::{SOON, Stage, more_requests, nics_with_xdp, pins_exist, stop},
};

cases![a_second_controller_is_refused, an_unknown_interface_is_refused_and_leaves_nothing];

fn a_second_controller_is_refused(lab: &Lab) -> Result<()> {
    let mut stage = Stage::web(lab)?;
    let config = stage.config.to_str().context("a path")?.to_owned();
    let load = stage.load(150)?;
    let run = |more: &[&str]| {
        stage.lb.cli(&[&["run", "--iface", "eth0", "--config", &config], more].concat())
    };
    let other_socket = ["--socket", "/run/other.sock"];
    let other_pins = ["--pin-root", "/sys/fs/bpf/other"];

    let same_socket = refusal(&run(&other_pins)?)?;
    ensure!(same_socket.contains("another foobar-lb controller answers on"), "{same_socket}");
    ensure!(same_socket.contains("end it first"), "no cure: {same_socket}");
    let same_pins = refusal(&run(&other_socket)?)?;
    ensure!(same_pins.contains("another foobar-lb controller works on"), "{same_pins}");
    ensure!(same_pins.contains("--pin-root"), "no cure: {same_pins}");
    // To this one, the program on the interface is a stranger's.
    let foreign = refusal(&run(&[other_socket, other_pins].concat())?)?;
    ensure!(foreign.contains("eth0: the XDP program cannot be attached"), "{foreign}");
    ensure!(foreign.contains("another XDP program is attached"), "{foreign}");
    ensure!(foreign.contains("ip link set dev eth0 xdp off"), "no cure: {foreign}");
    ensure!(!std::path::Path::new("/sys/fs/bpf/other").exists(), "it left pins behind");
    ensure!(!std::path::Path::new("/run/other.sock").exists(), "it left its socket behind");

    more_requests(&load, 50)?;
    let records = stop(load)?;
    stage.wait_up()?;
    ensure!(nics_with_xdp(&stage)? == ["eth0", "eth1"]);
    measured(format!("3 refusals, {} requests meanwhile, 0 failed; {foreign}", records.len()));
    Ok(())
}

fn an_unknown_interface_is_refused_and_leaves_nothing(lab: &Lab) -> Result<()> {
    let mut stage = Stage::web(lab)?;
    stage.lb.unload()?;
    stage.controller.wait(SOON)?;
    let config = stage.config.to_str().context("a path")?;
    let args = ["run", "--iface", "eth0", "--iface", "eth7", "--config", config];
    let said = refusal(&stage.lb.cli(&args)?)?;
    ensure!(said.contains("there is no interface `eth7`"), "{said}");
    ensure!(
        said.contains("there are: ") && said.contains("eth1"),
        "the others are not named: {said}"
    );
    ensure!(!pins_exist(), "it left pins behind");
    ensure!(nics_with_xdp(&stage)?.is_empty(), "it left its program behind");
    measured(said);
    Ok(())
}

/// The last line that a refused start said.
fn refusal(output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "it ended with {}: {text}", output.status);
    Ok(text.lines().last().context("it said nothing")?.to_owned())
}
