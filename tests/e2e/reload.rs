//! The configuration file changes: what is wrong changes nothing, what is right is in force.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{Lab, controller::Status, judge, wait_until};
use nix::sys::signal::Signal;

use crate::{
    cases, measured,
    support::stage::{SOON, Spec, Stage, more_requests, stop},
};

cases![errors_change_nothing, a_good_file_is_in_force, changed_limits_are_refused];

fn errors_change_nothing(lab: &Lab) -> Result<()> {
    let stage = Stage::web(lab)?;
    let good = fs::read_to_string(&stage.config)?;
    let load = stage.load(200)?;
    let mut kept = stage.connection_to("b1")?;
    let revision = stage.lb.status()?.config.revision;

    // Line 4 is the port.
    let bad = good.replacen("port = 80", "port = 80800", 1);
    fs::write(&stage.config, &bad)?;
    stage.controller.signal(Signal::SIGHUP)?;
    let status = wait_until("the error to be in the status", SOON, || {
        let status = stage.lb.status()?;
        ensure!(status.config.error.is_some(), "there is none");
        Ok(status)
    })?;
    let error = status.config.error.clone().context("an error")?;
    let place = format!("{}:4:8: ", stage.config.display());
    ensure!(error.starts_with(&place), "{error:?} does not begin with {place:?}");
    ensure!(error.contains("80800") && error.contains("1 to 65535"), "{error:?}");
    ensure!(status.config.revision == revision, "the revision rose");
    status.all_up()?;
    let table = stage.lb.ok(&["status"])?;
    ensure!(table.contains("NOT in force") && table.contains(&place), "{table}");
    let events: Vec<_> = status.events.iter().filter(|event| event.kind == "config").collect();
    ensure!(events.iter().any(|event| event.text.contains(&place)), "no event: {events:?}");

    let file = stage.config.to_str().context("a path")?;
    let check = stage.lb.cli(&["check", file])?;
    let text = String::from_utf8_lossy(&check.stderr).into_owned();
    ensure!(check.status.code() == Some(1), "`check` ended with {}", check.status);
    ensure!(text.contains("^^^^^") && text.contains(&format!("{file}:4:8")), "{text}");
    let reload = stage.lb.cli(&["reload"])?;
    ensure!(reload.status.code() == Some(4), "`reload` ended with {}", reload.status);
    // A file with errors is not written over, either.
    let set = stage.lb.cli(&["backend", "set", "web/10.0.0.11", "--weight", "0"])?;
    ensure!(set.status.code() == Some(4), "`backend set` ended with {}", set.status);
    ensure!(fs::read_to_string(&stage.config)? == bad, "the file was changed");
    more_requests(&load, 50)?;

    // The cure: the file as it was.
    fs::write(&stage.config, &good)?;
    stage.controller.signal(Signal::SIGHUP)?;
    wait_until("the error to go", SOON, || {
        let error = stage.lb.status()?.config.error;
        ensure!(error.is_none(), "{error:?}");
        Ok(())
    })?;
    ensure!(kept.get("/")?.server == "b1");
    let records = stop(load)?;
    measured(format!(
        "{} requests, 0 failed; {}",
        records.len(),
        error.lines().next().unwrap_or("")
    ));
    Ok(())
}

fn a_good_file_is_in_force(lab: &Lab) -> Result<()> {
    let stage = Stage::web(lab)?;
    let good = fs::read_to_string(&stage.config)?;
    let load = stage.load(200)?;
    let mut kept = ["b1", "b2"].map(|server| stage.connection_to(server));

    // Without the third backend, and with the first one drained.
    let third = "\n[[service.backend]]\naddress = \"10.0.0.13\"\nport = 80\n";
    let first = "address = \"10.0.0.11\"\nport = 80\n";
    ensure!(good.contains(third) && good.contains(first), "the configuration looks different");
    let changed = good.replace(third, "").replace(first, &format!("{first}state = \"drain\"\n"));
    fs::write(&stage.config, changed)?;
    stage.controller.signal(Signal::SIGHUP)?;
    let has_two = |status: &Status| status.services[0].backends.len() == 2;
    wait_until("two backends", SOON, || {
        let status = stage.lb.status()?;
        ensure!(has_two(&status) && status.backend("10.0.0.11")?.state == "drain");
        Ok(())
    })?;
    // The load's connections to the removed backend are ended with it: judge the later ones.
    load.pause(SOON)?;
    let before = load.done();
    load.resume();
    more_requests(&load, 60)?;
    load.pause(SOON)?;
    let shares = judge::shares(&load.records_from(before));
    ensure!(shares.keys().collect::<Vec<_>>() == ["b2"], "shares {shares:?}");
    for connection in &mut kept {
        connection.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))?.get("/")?;
    }

    fs::write(&stage.config, &good)?;
    let said = stage.lb.ok(&["reload"])?;
    ensure!(said.contains("1 service, 3 backends"), "reload said {said:?}");
    let same = stage.lb.ok(&["reload"])?;
    ensure!(same.contains("nothing differs"), "the same again said {same:?}");
    wait_until("all three to be up", SOON, || stage.lb.status()?.all_up())?;
    let before = load.done();
    load.resume();
    more_requests(&load, 60)?;
    load.pause(SOON)?;
    let again = judge::shares(&load.records_from(before));
    judge::check_even(&again.values().copied().collect::<Vec<_>>(), judge::possible_cpus()?)?;
    ensure!(again.len() == 3, "shares {again:?}");
    measured(format!("reloaded: {shares:?}, and back: {again:?}"));
    Ok(())
}

fn changed_limits_are_refused(lab: &Lab) -> Result<()> {
    let head = "[limits]\nflows = 4096\n\n";
    let mut stage = Stage::build(lab, &Spec { head, ..Default::default() })?;
    let good = fs::read_to_string(&stage.config)?;
    fs::write(&stage.config, good.replace("flows = 4096", "flows = 8192"))?;
    let reload = stage.lb.cli(&["reload"])?;
    let text = String::from_utf8_lossy(&reload.stderr).into_owned();
    ensure!(reload.status.code() == Some(4), "`reload` ended with {}", reload.status);
    ensure!(text.contains("[limits]") && text.contains("foobar-lb unload"), "{text}");
    stage.get()?;

    // Nor does a restart read maps of one size as if they had another.
    stage.controller.kill()?;
    let nics = stage.net.interfaces();
    let mut refused = stage.lb.run(lab, nics, &stage.config, &[])?;
    let status = refused.wait(SOON)?;
    let log = refused.log_tail(2);
    ensure!(status.code() == Some(1), "it ended with {status}: {log}");
    ensure!(log.contains("limits.flows is 8192") && log.contains("made for 4096"), "{log}");
    ensure!(log.contains("foobar-lb unload"), "no cure: {log}");
    stage.get()?;

    fs::write(&stage.config, good)?;
    let status = stage.start_controller()?;
    ensure!(status.adopted, "the packet path was not adopted");
    stage.get()?;
    measured(text.trim().to_owned());
    Ok(())
}
