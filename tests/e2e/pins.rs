//! Pins that do not fit are refused with a clear message, and what runs on them goes on.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use foobar_lb_tests::Lab;

use crate::{
    cases, measured,
    support::stage::{PINS, SOON, Stage, nics_with_xdp},
};

cases![a_map_of_another_shape_is_refused, pins_of_another_version_are_refused];

fn a_map_of_another_shape_is_refused(lab: &Lab) -> Result<()> {
    let mut stage = Stage::web(lab)?;
    stage.controller.kill()?;
    let maps = Path::new(PINS).join("v1/maps");
    // Each under the name of another: of a different type, value or size.
    for (one, other, words) in [
        ("flows", "services", "the type"),
        ("cursors", "service_stats", "values of bytes: "),
        ("flows", "new_flows", "limits.flows is "),
    ] {
        swap(&maps, one, other)?;
        let said = refused_start(&mut stage)?;
        ensure!(said.contains(&format!("{}/", maps.display())), "no pin is named: {said}");
        ensure!(said.contains(words), "{said}");
        ensure!(said.contains("foobar-lb unload"), "no cure: {said}");
        expect_untouched(&stage)?;
        swap(&maps, one, other)?;
        measured(format!("{one} and {other} swapped: {said}"));
    }
    let status = stage.start_controller()?;
    ensure!(status.adopted, "the packet path was not adopted");
    stage.get()?;
    Ok(())
}

fn pins_of_another_version_are_refused(lab: &Lab) -> Result<()> {
    let mut stage = Stage::web(lab)?;
    stage.controller.kill()?;
    let stranger = Path::new(PINS).join("v999");
    fs::create_dir(&stranger)?;
    let said = refused_start(&mut stage)?;
    ensure!(said.contains("v999 holds the maps of another version"), "{said}");
    ensure!(said.contains("layout v1") && said.contains("foobar-lb unload"), "{said}");
    ensure!(stranger.exists(), "it was removed");
    expect_untouched(&stage)?;

    // The cure that it names.
    let unloaded = stage.lb.unload()?;
    ensure!(!Path::new(PINS).exists(), "after {unloaded:?} there are pins left");
    ensure!(!stage.start_controller()?.adopted);
    stage.get()?;
    measured(said);
    Ok(())
}

/// Starts a controller that is to refuse; returns its last word.
fn refused_start(stage: &mut Stage<'_>) -> Result<String> {
    let nics = stage.net.interfaces();
    let mut controller = stage.lb.run(stage.lab, nics, &stage.config, &[])?;
    let status = controller.wait(SOON)?;
    let said = controller.log_tail(1);
    ensure!(status.code() == Some(1), "it ended with {status}: {said}");
    Ok(said)
}

fn expect_untouched(stage: &Stage<'_>) -> Result<()> {
    ensure!(nics_with_xdp(stage)? == ["eth0", "eth1"], "the program was detached");
    stage.requests(20).map(drop)
}

/// Exchanges two pins' names.
fn swap(folder: &Path, one: &str, other: &str) -> Result<()> {
    let (one, other, aside) = (folder.join(one), folder.join(other), folder.join("aside"));
    fs::rename(&one, &aside)?;
    fs::rename(&other, &one)?;
    fs::rename(&aside, &other)?;
    Ok(())
}
