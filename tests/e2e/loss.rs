//! Backends that go away: killed servers and unplugged hosts. Whoever is not on them notices
//! nothing.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{
    Lab, LoadClient,
    judge::{self, Death},
    load::Record,
};

use crate::{
    cases, measured,
    support::{
        config::QUICK_PROBE,
        stage::{SOON, Spec, Stage, TOO_LONG, expect_no_failure, more_requests, slowest},
    },
};

cases![a_killed_server_is_out_and_comes_back, an_unplugged_host_is_out_and_comes_back];

/// What [`QUICK_PROBE`] promises: two intervals and a time-out.
const PROMISED: Duration = Duration::from_millis(800);
/// For the probes' own jitter, for us to look, and for a machine with other work.
const MARGIN: Duration = Duration::from_millis(2200);

fn a_killed_server_is_out_and_comes_back(lab: &Lab) -> Result<()> {
    let mut stage = Stage::build(lab, &Spec { probe: QUICK_PROBE, ..Default::default() })?;
    // Established connections, which must survive the death of another server.
    let mut others = ["b1", "b3"].map(|server| stage.connection_to(server));
    let mut open = stage.connection_to("b2")?;
    open.send("/slow/20000")?;
    let load = stage.load(250)?;
    more_requests(&load, 200)?;

    let death = stage.kill_server(1)?;
    // Who waits for the dead server is told at once.
    let told = open.receive().err().context("a dead server answered")?;
    let told_after = death.killed.elapsed();
    ensure!(told_after < TOO_LONG, "told {told:#} only after {told_after:?}");
    let detected = detection(&stage, 1, death.killed)?;
    let from = settle(&load)?;
    more_requests(&load, 200)?;
    let without = judge::shares(&load.records_from(from));
    ensure!(!without.contains_key("b2"), "the dead server answered: {without:?}");
    for connection in &mut others {
        let connection = connection.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        connection.get("/")?;
    }

    stage.restart_server(1)?;
    let back = Instant::now();
    stage.wait_health(1, "up")?;
    let recovered = back.elapsed();
    let from = settle(&load)?;
    more_requests(&load, 200)?;
    load.pause(SOON)?;
    let again = judge::shares(&load.records_from(from));
    judge::check_even(&again.values().copied().collect::<Vec<_>>(), judge::possible_cpus()?)?;
    ensure!(again.len() == 3, "shares after the recovery: {again:?}");

    let records = load.stop()?;
    let excused = expect_no_failure(&records, &[death])?;
    let (requests, slowest) = (records.len(), slowest(&records));
    measured(format!(
        "{requests} requests, {excused} failed with the server, none else, slowest {slowest:?}; \
         out after {detected:?}, back after {recovered:?}"
    ));
    Ok(())
}

fn an_unplugged_host_is_out_and_comes_back(lab: &Lab) -> Result<()> {
    let stage = Stage::build(lab, &Spec { probe: QUICK_PROBE, tx: true, ..Default::default() })?;
    let mut open = stage.connection_to("b3")?;
    let load = stage.load(150)?;
    more_requests(&load, 150)?;

    let killed = Instant::now();
    stage.net.unplug(2)?;
    // Requests of this moment may have their connection there; later ones have no excuse.
    let death = Death { killed, gone: Instant::now() };
    let detected = detection(&stage, 2, killed)?;
    let down = Instant::now();
    // A connection to it, of which the host itself says nothing any more, is reset by foobar-lb.
    let told = format!("{:#}", open.get("/").err().context("an unplugged host answered")?);
    ensure!(told.contains("reset"), "the client was told {told}");
    ensure!(down.elapsed() < TOO_LONG, "the client was told after {:?}", down.elapsed());
    // Those whose SYN vanished try again after a second, and again two seconds later.
    more_requests(&load, 600)?;
    let status = stage.wait_health(2, "down")?;
    let check = status.backend(&stage.address(2))?.check.as_ref().map(|c| c.result.clone());

    stage.net.replug(2)?;
    stage.wait_health(2, "up")?;
    let from = settle(&load)?;
    more_requests(&load, 150)?;
    load.pause(SOON)?;
    let again = judge::shares(&load.records_from(from));
    ensure!(again.len() == 3, "shares after the recovery: {again:?}");

    let records = load.stop()?;
    let excused = expect_no_failure(&records, &[death])?;
    let late: Vec<&Record> = records.iter().filter(|record| record.start > down).collect();
    let slowest_late = late.iter().map(|r| r.end - r.start).max().unwrap_or_default();
    ensure!(slowest_late < TOO_LONG, "a SYN was lost later on: {slowest_late:?}");
    measured(format!(
        "{} requests, {excused} failed with the host, none else, slowest {:?}; out after \
         {detected:?} ({})",
        records.len(),
        slowest(&records),
        check.unwrap_or_default(),
    ));
    Ok(())
}

/// Waits until a backend is down; fails if that took longer than promised.
fn detection(stage: &Stage<'_>, index: usize, since: Instant) -> Result<Duration> {
    stage.wait_health(index, "down")?;
    let detected = since.elapsed();
    ensure!(detected < PROMISED + MARGIN, "down after {detected:?}, promised {PROMISED:?}");
    Ok(detected)
}

/// Lets the requests in flight end, so that what comes later is judged alone; returns how many
/// ended so far.
fn settle(load: &LoadClient) -> Result<usize> {
    load.pause(SOON)?;
    let done = load.done();
    load.resume();
    Ok(done)
}
