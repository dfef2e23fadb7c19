//! A flood of SYNs from everywhere pushes out other SYNs, never an established connection.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use etherparse::PacketBuilder;
use foobar_lb_tests::Lab;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    cases, measured,
    support::{
        config::NO_PROBE,
        http::Connection,
        stage::{Spec, Stage, WEB},
    },
};

cases![a_syn_flood_pushes_out_no_established_connection];

const PACKETS: u64 = 50_000;
const CONNECTIONS: usize = 50;
/// What both tables hold, far less than the flood.
const TABLE: u64 = 1024;
const LIMITS: &str = "[limits]\nflows = 1024\nnew_flows = 1024\n\n";

fn a_syn_flood_pushes_out_no_established_connection(lab: &Lab) -> Result<()> {
    let spec = Spec { probe: NO_PROBE, head: LIMITS, ..Default::default() };
    let stage = Stage::build(lab, &spec)?;
    // The answers to the flood have a way, too: back to the client's side.
    stage.net.balancer.ip("route add 10.128.0.0/9 via 198.51.100.10 dev eth0")?;
    let mut kept = (0..CONNECTIONS)
        .map(|_| Connection::open(&stage.net.client, WEB))
        .collect::<Result<Vec<_>>>()?;
    let servers = kept.iter_mut().map(|connection| Ok(connection.get("/")?.server));
    let servers = servers.collect::<Result<Vec<_>>>()?;
    let before = stage.lb.stats()?.service("web")?.counters;

    let begun = Instant::now();
    let flood = stage.net.client.spawn(flood);
    let mut requests = 0;
    while !flood.is_finished() || requests < 2 * CONNECTIONS {
        let index = requests % CONNECTIONS;
        let answer = kept[index].get("/").with_context(|| format!("connection {index}"))?;
        ensure!(answer.server == servers[index], "connection {index} changed servers");
        requests += 1;
    }
    let sent = flood.join().map_err(|_| anyhow::anyhow!("the flood's thread died"))???;
    let seconds = begun.elapsed().as_secs_f64();
    // Each of them still, after the last SYN.
    for (index, connection) in kept.iter_mut().enumerate() {
        let answer = connection.get("/").with_context(|| format!("connection {index}"))?;
        ensure!(answer.server == servers[index], "connection {index} changed servers");
    }
    // And a newcomer gets through.
    stage.get()?;

    // The flood did arrive, many times what the tables hold; the links may have dropped a part.
    let stats = stage.lb.stats()?;
    let flows = stats.service("web")?.counters.new_flows - before.new_flows;
    ensure!(flows > 20 * TABLE, "only {flows} flows for {sent} SYNs");
    let drops: Vec<_> =
        stats.reasons.iter().filter(|r| r.verdict == "drop" && r.packets > 0).collect();
    ensure!(drops.is_empty(), "foobar-lb itself dropped: {drops:?}");
    measured(format!(
        "{sent} SYNs in {seconds:.1} s began {flows} flows; {CONNECTIONS} connections answered \
         {requests} requests meanwhile, none lost"
    ));
    Ok(())
}

/// Sends the SYNs, each from an address and port of its own.
fn flood() -> Result<u64> {
    const RAW: i32 = 255; // IPPROTO_RAW: we bring the IP header.
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW)))?;
    let mut random = 0x9e37_79b9_u32;
    let mut sent = 0;
    for number in 0..PACKETS as u32 {
        // Numerical Recipes' generator: any spread will do.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let source = Ipv4Addr::from(0x0a80_0000 | (random >> 9));
        let port = 1024 + (number % 60_000) as u16;
        let mut packet = Vec::with_capacity(40);
        PacketBuilder::ipv4(source.octets(), WEB.ip().octets(), 64)
            .tcp(port, WEB.port(), random, 64_240)
            .syn()
            .write(&mut packet, &[])?;
        // A full queue is no reason to stop.
        if socket.send_to(&packet, &SocketAddrV4::new(*WEB.ip(), 0).into()).is_ok() {
            sent += 1;
        }
    }
    ensure!(sent > PACKETS / 2, "only {sent} of {PACKETS} could be sent");
    Ok(sent)
}
