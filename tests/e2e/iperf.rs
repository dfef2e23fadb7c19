//! iperf3 through `nat`: its control connection and its data have the same port, for TCP and UDP.

use std::{net::SocketAddrV4, time::Duration};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{
    Child, FoobarLb, Lab, Topology, TopologySpec, foobar_lb_binary, topology::SERVICE,
};
use serde_json::Value;

use crate::{
    cases, measured,
    support::{config, stage::wait_up},
};

cases![tcp_both_ways_and_udp];

const PORT: u16 = 5201;
/// The share of UDP packets that may be lost, and how often to try.
const LOSS: f64 = 0.02;
const ATTEMPTS: u32 = 3;

fn tcp_both_ways_and_udp(lab: &Lab) -> Result<()> {
    let net = Topology::build(&TopologySpec { backends: 1, ..Default::default() })?;
    // With several backends, control and data would part.
    let backend = [net.backends[0].endpoint(PORT)];
    let endpoint = SocketAddrV4::new(SERVICE, PORT);
    let text = config::service("iperf-tcp", endpoint, config::NO_PROBE, &backend)
        + &config::udp_service("iperf-udp", endpoint, &backend);
    let config = lab.write("foobar-lb.toml", &text)?;
    let lb = FoobarLb::new(foobar_lb_binary()?, &net.balancer);
    let mut controller = lb.run(lab, net.interfaces(), &config, &[])?;
    wait_up(&lb, &mut controller)?;
    let server_args = ["iperf3", "--server", "--port", "5201", "--forceflush"];
    let mut server = Child::spawn_in(lab, &net.backends[0].ns, "iperf3-server", &server_args)?;
    server.wait_for_log("Server listening", Duration::from_secs(5))?;
    let iperf = |args: &[&str]| -> Result<Value> {
        let address = SERVICE.to_string();
        let fixed = ["iperf3", "--client", &address, "--port", "5201", "--time", "2", "--json"];
        Ok(serde_json::from_str(&net.client.run(&[&fixed[..], args].concat())?)?)
    };

    for (what, args) in [("upload", &[][..]), ("download", &["--reverse"])] {
        let end = &iperf(args)?["end"];
        let received = number(&end["sum_received"]["bytes"])?;
        let sent = number(&end["sum_sent"]["bytes"])?;
        let retransmits = number(&end["sum_sent"]["retransmits"])?;
        let rate = number(&end["sum_received"]["bits_per_second"])? / 1e6;
        measured(format!("TCP {what}: {rate:.0} Mbit/s, {retransmits} retransmitted"));
        // What is in flight at the end is not received any more.
        ensure!(received > 0.9 * sent, "{received} of {sent} bytes were received");
        ensure!(rate > 50.0, "{rate} Mbit/s");
        ensure!(retransmits * 1448.0 < 0.05 * sent, "{retransmits} retransmits for {sent} bytes");
    }

    let mut runs = 0;
    for (what, args) in [("upload", &[][..]), ("download", &["--reverse"])] {
        // iperf3 itself loses what it is too slow to take from its socket, when the machine has other
        // work. A balancer that loses packets loses them every time.
        let (mut lost, mut packets) = (1.0, 0.0);
        for _ in 0..ATTEMPTS {
            runs += 1;
            let rate = ["--udp", "--bitrate", "50M"];
            let end = &iperf(&[&rate[..], args].concat())?["end"]["sum"];
            (lost, packets) = (number(&end["lost_packets"])?, number(&end["packets"])?);
            measured(format!("UDP {what} at 50 Mbit/s: {packets} packets, {lost} lost"));
            if lost < LOSS * packets {
                break;
            }
        }
        // Two seconds at this rate are some 8,600 packets.
        ensure!(packets > 2000.0, "{what}: only {packets} packets");
        ensure!(lost < LOSS * packets, "{what}: {lost} of {packets} packets were lost, again");
    }

    let stats = lb.stats()?;
    let (tcp, udp) = (stats.service("iperf-tcp")?.counters, stats.service("iperf-udp")?.counters);
    // A control connection for each run, and a data flow of its own protocol; two runs were TCP's.
    ensure!(tcp.new_flows == 2 * 2 + runs, "{} TCP flows, {runs} runs", tcp.new_flows);
    ensure!(udp.new_flows == runs, "{} UDP flows, {runs} runs", udp.new_flows);
    // foobar-lb itself lost nothing.
    let drops: Vec<_> =
        stats.reasons.iter().filter(|r| r.verdict == "drop" && r.packets > 0).collect();
    ensure!(drops.is_empty(), "foobar-lb dropped: {drops:?}");
    Ok(())
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("iperf3 says {value} where a number should be"))
}
