//! The controller ends in every way there is, and traffic goes on: killed, terminated, restarted.
//! Only `unload` ends the balancing.

use std::{
    fs,
    io::Read as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{
    FoobarLb, Lab, LoadClient, LoadPlan, Topology, TopologySpec, foobar_lb_binary, wait_until,
};

use crate::{
    cases, measured,
    support::{
        config::{self, STEADY_PROBE},
        http::Connection,
        nginx::{self, Nginx, www},
        stage::{
            SOCKET, SOON, Spec, Stage, WEB, expect_no_failure, more_requests, nics_with_xdp,
            pins_exist, slowest, stop, wait_up,
        },
    },
};

cases![
    killed_five_times_under_load_nothing_is_lost,
    terminated_it_leaves_traffic_running_and_is_taken_over,
    unload_removes_everything,
    unload_works_without_a_controller,
    a_backend_that_died_meanwhile_is_found_dead,
];

fn killed_five_times_under_load_nothing_is_lost(lab: &Lab) -> Result<()> {
    const RESTARTS: usize = 5;
    let net = Topology::build(&TopologySpec::default())?;
    let servers = net.backends.iter().map(|host| Nginx::start(lab, host));
    let _servers = servers.collect::<Result<Vec<_>>>()?;
    let backends: Vec<_> = net.backends.iter().map(|host| host.endpoint(80)).collect();
    let config =
        lab.write("foobar-lb.toml", &config::service("web", WEB, STEADY_PROBE, &backends))?;
    let lb = FoobarLb::new(foobar_lb_binary()?, &net.balancer);
    let mut controller = lb.run(lab, net.interfaces(), &config, &[])?;
    ensure!(!wait_up(&lb, &mut controller)?.adopted, "there was nothing to adopt");

    nginx::random_file(&www(lab).join("large"), 200)?;
    let content: Arc<[u8]> = fs::read(www(lab).join("large"))?.into();
    let downloads = (0..3).map(|_| Download::start(&net, &content)).collect::<Result<Vec<_>>>()?;
    let mut kept = Connection::open(&net.client, WEB)?;
    let server = kept.get("/")?.server;
    let sources = net.client_addresses.clone();
    let load = LoadClient::start(&net.client, LoadPlan { sources, ..LoadPlan::new(WEB) })?;
    load.resume();
    more_requests(&load, 100)?;

    let mut restarts = vec![];
    for round in 1..=RESTARTS {
        controller.kill()?;
        let killed = Instant::now();
        ensure!(lb.status().is_err(), "a killed controller answers");
        more_requests(&load, 60)?;
        controller = lb.run(lab, net.interfaces(), &config, &[])?;
        let status = wait_up(&lb, &mut controller)?;
        ensure!(status.adopted, "round {round}: the packet path was not adopted");
        restarts.push(killed.elapsed());
        more_requests(&load, 60)?;
        ensure!(kept.get("/")?.server == server, "round {round}: the connection changed servers");
    }
    let under_way = downloads.iter().filter(|download| download.is_running()).count();
    ensure!(under_way == downloads.len(), "a download ended before its time: it proves nothing");
    let lengths: Vec<usize> = downloads.into_iter().map(Download::finish).collect::<Result<_>>()?;
    ensure!(lengths.iter().all(|length| *length == content.len()), "{lengths:?} bytes");
    let records = stop(load)?;

    // Every flow that ever began, over all six controllers; none was begun twice.
    let flows = lb.stats()?.service("web")?.counters.new_flows;
    let connections = (records.len() + lengths.len() + 1) as u64;
    ensure!(flows == connections, "{flows} flows for {connections} connections");
    let longest = restarts.iter().max().copied().unwrap_or_default();
    measured(format!(
        "{RESTARTS} kills, up to {longest:?} without a controller; {} requests and 3 downloads of \
         200 MiB, 0 failed, slowest request {:?}",
        records.len(),
        slowest(&records)
    ));
    Ok(())
}

fn terminated_it_leaves_traffic_running_and_is_taken_over(lab: &Lab) -> Result<()> {
    let mut stage = Stage::web(lab)?;
    let load = stage.load(200)?;
    let mut kept = stage.connection_to("b2")?;
    more_requests(&load, 50)?;
    let before = stage.lb.stats()?.service("web")?.counters;

    let status = stage.controller.terminate(SOON)?;
    ensure!(status.success(), "SIGTERM ended it with {status}");
    ensure!(stage.controller.log().contains("the packet path goes on"), "it does not say so");
    ensure!(!Path::new(SOCKET).exists(), "its socket is still there");
    ensure!(nics_with_xdp(&stage)? == ["eth0", "eth1"]);
    more_requests(&load, 100)?;
    kept.get("/")?;

    let status = stage.start_controller()?;
    ensure!(status.adopted, "the packet path was not adopted");
    more_requests(&load, 50)?;
    ensure!(kept.get("/")?.server == "b2");
    let after = stage.lb.stats()?.service("web")?.counters;
    ensure!(after.packets_in > before.packets_in, "the counters began anew");
    let records = stop(load)?;
    measured(format!("{} requests, 0 failed, slowest {:?}", records.len(), slowest(&records)));
    Ok(())
}

fn unload_removes_everything(lab: &Lab) -> Result<()> {
    let mut stage = Stage::web(lab)?;
    stage.get()?;
    ensure!(nics_with_xdp(&stage)? == ["eth0", "eth1"]);
    let said = stage.lb.unload()?;
    expect_unloaded(&stage, &said)?;
    let status = stage.controller.wait(SOON)?;
    ensure!(status.success(), "the controller ended with {status}");
    let neighbours = stage.net.balancer.run(&["ip", "-d", "neigh", "show"])?;
    ensure!(!neighbours.contains("managed"), "a neighbour is still kept: {neighbours}");

    let again = stage.lb.cli(&["unload"])?;
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    ensure!(again.status.success() && text.contains("nothing was loaded"), "{again:?}");

    // And from nothing again.
    let status = stage.start_controller()?;
    ensure!(!status.adopted, "adopted what was removed");
    stage.get()?;
    measured(format!("{:?}, then {:?}", said.trim(), text.trim()));
    Ok(())
}

fn unload_works_without_a_controller(lab: &Lab) -> Result<()> {
    let mut stage = Stage::web(lab)?;
    stage.controller.kill()?;
    stage.get()?;
    let said = stage.lb.unload()?;
    ensure!(said.contains("pins removed"), "it said {said:?}");
    expect_unloaded(&stage, &said)?;
    measured(format!("{:?}", said.trim()));
    Ok(())
}

fn expect_unloaded(stage: &Stage<'_>, said: &str) -> Result<()> {
    ensure!(!pins_exist(), "pins are left, though it said {said:?}");
    let nics = nics_with_xdp(stage)?;
    ensure!(nics.is_empty(), "XDP still runs on {nics:?}");
    // The service's address is the balancer's own, where nothing listens on this port.
    let error = stage.get().err().context("requests are still balanced")?;
    ensure!(format!("{error:#}").contains("refused"), "{error:#}");
    Ok(())
}

/// What was up when the controller died is up for the next one, until its probes say otherwise.
fn a_backend_that_died_meanwhile_is_found_dead(lab: &Lab) -> Result<()> {
    let spec = Spec { probe: config::QUICK_PROBE, ..Default::default() };
    let mut stage = Stage::build(lab, &spec)?;
    let load = stage.load(150)?;
    more_requests(&load, 30)?;
    stage.controller.kill()?;
    let death = stage.kill_server(0)?;
    // Nobody probes; the dead server's host refuses, and clients try again elsewhere.
    more_requests(&load, 100)?;
    let nics = stage.net.interfaces();
    stage.controller = stage.lb.run(lab, nics, &stage.config, &[])?;
    let begun = Instant::now();
    let status = stage.wait_health(0, "down")?;
    ensure!(status.adopted, "the packet path was not adopted");
    let found = begun.elapsed();
    let from = load.done();
    more_requests(&load, 50)?;
    load.pause(SOON)?;
    let records = load.stop()?;
    let excused = expect_no_failure(&records, &[death])?;
    ensure!(records.len() > from);
    measured(format!(
        "{} requests, {excused} failed with the server, none else; found dead {found:?} after the \
         start",
        records.len()
    ));
    Ok(())
}

/// A download that is read slowly until it is told to finish, and compared byte by byte.
struct Download {
    hurry: Arc<AtomicBool>,
    thread: JoinHandle<Result<usize>>,
}

impl Download {
    fn start(net: &Topology, content: &Arc<[u8]>) -> Result<Self> {
        let mut connection = Connection::open(&net.client, WEB)?;
        connection.send("/large")?;
        let hurry = Arc::new(AtomicBool::new(false));
        let (hurried, content) = (Arc::clone(&hurry), Arc::clone(content));
        let thread = std::thread::spawn(move || {
            let (_, length) = connection.receive_head()?;
            let mut at = 0;
            let mut buffer = vec![0; 64 << 10];
            while at < length {
                let read = connection.body().read(&mut buffer).context("the download broke")?;
                ensure!(read > 0, "the download ended after {at} bytes");
                ensure!(content.get(at..at + read) == Some(&buffer[..read]), "wrong after {at}");
                at += read;
                if !hurried.load(SeqCst) {
                    // About 3 MB a second: a minute for the whole.
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            Ok(at)
        });
        Ok(Self { hurry, thread })
    }

    fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Reads the rest at full speed; returns how much there was in all.
    fn finish(self) -> Result<usize> {
        self.hurry.store(true, SeqCst);
        wait_until("a download to end", Duration::from_secs(30), || {
            ensure!(self.thread.is_finished(), "it goes on");
            Ok(())
        })?;
        self.thread.join().map_err(|_| anyhow::anyhow!("a download panicked"))?
    }
}
