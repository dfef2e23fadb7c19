//! The harness without foobar-lb: the balancer's namespace routes. Needs root.

use std::{fs, net::Ipv4Addr, time::Duration};

use anyhow::{Result, ensure};

use crate::{
    Arms, Capture, Child, Lab, LoadClient, LoadPlan, Topology, TopologySpec, http_server, judge,
    wait_until,
};

const SOON: Duration = Duration::from_secs(5);

/// Lets the balancer's kernel route, which is the controller's job otherwise.
fn route(net: &Topology) -> Result<()> {
    net.balancer.sysctl("net/ipv4/ip_forward", "1")
}

#[test]
fn requests_reach_a_backend_through_the_balancer() {
    Lab::scoped("selftest-requests", |lab| {
        for arms in [Arms::Two, Arms::One] {
            let net = Topology::build(&TopologySpec { arms, ..Default::default() })?;
            route(&net)?;
            let target = net.backends[1].endpoint(80);
            net.backends[1].ns.spawn(move || http_server::serve(target, "b2"));

            let capture = Capture::start(lab, &net.client, "eth0", "tcp", "client")?;
            let sources = net.client_addresses.clone();
            let load =
                LoadClient::start(&net.client, LoadPlan { sources, ..LoadPlan::new(target) })?;
            load.resume();
            wait_until("50 requests", SOON, || {
                ensure!(load.done() >= 50, "{} done", load.done());
                Ok(())
            })?;
            load.pause(SOON)?;
            let records = load.stop()?;
            let (excused, failed) = judge::failures(&records, &[]);
            ensure!(excused.is_empty() && failed.is_empty(), "{arms:?}: {failed:?}");
            ensure!(judge::shares(&records)["b2"] == records.len() as u64);
            let pcap = capture.stop()?;
            ensure!(fs::metadata(&pcap)?.len() > 10_000, "the capture is too short");
        }
        Ok(())
    })
    .expect("the lab works");
}

#[test]
fn labs_do_not_see_each_other_nor_touch_the_machine() {
    for name in ["selftest-lab-a", "selftest-lab-b"] {
        Lab::scoped(name, |lab| {
            let pins = fs::read_dir("/sys/fs/bpf")?.count();
            ensure!(fs::read_dir("/run")?.count() == 1, "/run is not fresh");
            fs::create_dir("/sys/fs/bpf/mine")?;
            ensure!(fs::read_dir("/sys/fs/bpf")?.count() == pins + 1);
            lab.write("note", "x").map(drop)
        })
        .expect("a fresh lab");
    }
    assert!(!fs::exists("/sys/fs/bpf/mine").expect("readable"));
    assert!(!fs::exists("/run/lab").expect("readable"));
}

#[test]
fn a_child_ends_with_its_thread_or_its_guard() {
    let pid = Lab::scoped("selftest-child", |lab| {
        let net = Topology::build(&TopologySpec { backends: 1, ..Default::default() })?;
        let mut sleeper = Child::spawn_in(lab, &net.client, "sleep", &["sleep", "1000"])?;
        ensure!(sleeper.is_running());
        let pid = sleeper.pid();
        std::mem::forget(sleeper);
        Ok(pid)
    })
    .expect("a child");
    wait_until("the child to die with its thread", SOON, || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        ensure!(stat.is_empty() || stat.contains(") Z "), "it is alive: {stat}");
        Ok(())
    })
    .expect("pdeathsig works");
}

#[test]
fn links_go_down_and_up_again() {
    Lab::scoped("selftest-links", |_| {
        let net = Topology::build(&TopologySpec::default())?;
        route(&net)?;
        let target = net.backends[0].address.to_string();
        let ping = || net.client.run(&["ip", "route", "get", &target]).map(drop);
        ping()?;
        let operstate = || net.backends[0].ns.run(&["ip", "-o", "link", "show", "eth0"]);
        net.unplug(0)?;
        wait_until("the carrier to go", SOON, || {
            ensure!(operstate()?.contains("NO-CARRIER"));
            Ok(())
        })?;
        net.replug(0)?;
        wait_until("the carrier to come", SOON, || {
            ensure!(operstate()?.contains("state UP"));
            Ok(())
        })?;
        net.flush_neighbours()?;
        ensure!(net.client_addresses[0] == Ipv4Addr::new(198, 51, 100, 10));
        Ok(())
    })
    .expect("the lab works");
}
