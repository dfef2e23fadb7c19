//! Unknown neighbours: the first packet is handed to the kernel, which resolves and sends it. None
//! is lost, so no connection waits a second for its second SYN.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{Lab, controller::Stats, wait_until};

use crate::{
    cases, measured,
    support::{
        config::NO_PROBE,
        stage::{SOON, Spec, Stage, TOO_LONG},
    },
};

cases![first_packets_meet_unknown_neighbours, established_connections_meet_them_too];

const ROUNDS: u64 = 20;

/// Nothing but the requests themselves makes the kernel resolve: no probe, and no controller.
fn silent_stage(lab: &Lab) -> Result<Stage<'_>> {
    let mut stage = Stage::build(lab, &Spec { probe: NO_PROBE, ..Default::default() })?;
    stage.controller.kill()?;
    Ok(stage)
}

fn first_packets_meet_unknown_neighbours(lab: &Lab) -> Result<()> {
    let mut stage = silent_stage(lab)?;
    // The SYN-ACK's next hop is the client, on eth0; the SYN's is the backend, on eth1.
    for (whose, nics) in
        [("the client", &["eth0"][..]), ("the backends", &["eth1"]), ("both", &["eth0", "eth1"])]
    {
        let before = stats(&mut stage)?.reason("kernel_no_neighbour")?;
        stage.controller.kill()?;
        let mut slowest = Duration::ZERO;
        for round in 0..ROUNDS {
            forget_neighbours(&stage, nics)?;
            let begun = Instant::now();
            stage.get().with_context(|| format!("{whose} forgotten, round {round}"))?;
            slowest = slowest.max(begun.elapsed());
        }
        ensure!(slowest < TOO_LONG, "{whose} forgotten: a packet was lost, {slowest:?}");
        let handed = stats(&mut stage)?.reason("kernel_no_neighbour")? - before;
        // Now and then the other end asks by itself just then, and is learnt from that.
        let wanted = ROUNDS * nics.len() as u64 - ROUNDS / 4;
        ensure!(handed >= wanted, "{whose} forgotten: {handed} packets handed over, not {wanted}");
        stage.controller.kill()?;
        measured(format!(
            "{whose} forgotten before each of {ROUNDS} requests: slowest {slowest:?}, {handed} \
             packets handed over"
        ));
    }

    // And with a controller at work, which resolves again while requests come.
    stage.start_controller()?;
    let mut slowest = Duration::ZERO;
    for round in 0..2 * ROUNDS {
        stage.net.flush_neighbours()?;
        let begun = Instant::now();
        stage.get().with_context(|| format!("round {round} with a controller"))?;
        slowest = slowest.max(begun.elapsed());
    }
    ensure!(slowest < TOO_LONG, "with a controller the slowest request took {slowest:?}");
    measured(format!("with a controller at work: slowest {slowest:?}"));
    Ok(())
}

fn established_connections_meet_them_too(lab: &Lab) -> Result<()> {
    let mut stage = silent_stage(lab)?;
    let mut connections = ["b1", "b2", "b3"].map(|server| stage.connection_to(server));
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS / 2 {
        for connection in &mut connections {
            let connection = connection.as_mut().map_err(|error| anyhow::anyhow!("{error:#}"))?;
            forget_neighbours(&stage, stage.net.interfaces())?;
            let begun = Instant::now();
            // Several segments, the first of which are handed over.
            let answer =
                connection.get("/bytes/20000").with_context(|| format!("round {round}"))?;
            ensure!(answer.body.len() == 20_000);
            slowest = slowest.max(begun.elapsed());
        }
    }
    // A lost data segment comes again after 200 ms.
    ensure!(slowest < TOO_LONG, "the slowest answer took {slowest:?}");
    let handed = stats(&mut stage)?.reason("kernel_no_neighbour")?;
    ensure!(handed >= ROUNDS * 3, "only {handed} packets were handed over");
    measured(format!(
        "{} answers, slowest {slowest:?}, {handed} packets handed over",
        ROUNDS / 2 * 3
    ));
    Ok(())
}

/// Forgets every neighbour on some NICs, and makes sure of it: the end of an earlier connection may
/// have the kernel learn one anew.
fn forget_neighbours(stage: &Stage<'_>, nics: &[&str]) -> Result<()> {
    for nic in nics {
        wait_until("the neighbours to be forgotten", SOON, || {
            stage.net.balancer.ip(&format!("neigh flush dev {nic}"))?;
            let left = stage.net.balancer.run(&["ip", "neigh", "show", "dev", nic])?;
            ensure!(!left.contains("lladdr"), "still known: {left}");
            Ok(())
        })?;
    }
    Ok(())
}

/// The counters, by way of a new controller, which goes on.
fn stats(stage: &mut Stage<'_>) -> Result<Stats> {
    ensure!(stage.start_controller()?.adopted, "the packet path was not adopted");
    stage.lb.stats()
}
