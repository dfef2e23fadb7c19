//! The balancer's own host: whatever is not for a service stays reachable, come what may.

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use foobar_lb_tests::{
    HttpServer, Lab, Topology, judge,
    topology::{BALANCER_BACKEND_SIDE, BALANCER_CLIENT_SIDE, SERVICE},
    wait_until,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{
    cases, measured,
    support::{
        config::QUICK_PROBE,
        http::Connection,
        stage::{SOON, Spec, Stage, WEB, more_requests, stop},
    },
};

cases![the_host_stays_reachable_with_every_backend_down];

/// Stands in for sshd.
const SSH: SocketAddrV4 = SocketAddrV4::new(SERVICE, 22);

fn the_host_stays_reachable_with_every_backend_down(lab: &Lab) -> Result<()> {
    let mut stage = Stage::build(lab, &Spec { probe: QUICK_PROBE, ..Default::default() })?;
    let _ssh = HttpServer::start(lab, &stage.net.balancer, SSH, "host")?;
    expect_host(&stage.net)?;
    let mut session = Connection::open(&stage.net.client, SSH)?;
    session.get("/")?;

    let deaths = [stage.kill_server(0)?, stage.kill_server(1)?, stage.kill_server(2)?];
    wait_until("the service to be down", SOON, || {
        let status = stage.lb.status()?;
        ensure!(status.service("web")?.state == "down", "it is up");
        Ok(())
    })?;
    let down = deaths[2].gone.elapsed();
    let table = stage.lb.ok(&["status"])?;
    ensure!(table.contains("DOWN: web"), "{table}");

    // Nobody answers, and every packet is accounted for.
    let before = stage.lb.stats()?.reason("no_backend")?;
    let patience = Duration::from_millis(500);
    let error = Connection::open_within(&stage.net.client, WEB, patience).err();
    let error = format!("{:#}", error.unwrap_or_else(|| anyhow::anyhow!("it was accepted")));
    ensure!(error.contains("timed out"), "the client was told {error}");
    let dropped = stage.lb.stats()?.reason("no_backend")? - before;
    ensure!(dropped >= 1, "no drop was counted");
    expect_host(&stage.net)?;
    ensure!(session.get("/")?.server == "host", "the open session is lost");

    // A SYN that finds nobody comes again after a second, and finds somebody then.
    let load = stage.load(50)?;
    for index in 0..3 {
        stage.restart_server(index)?;
    }
    let back = Instant::now();
    wait_until("the service to be up", SOON, || stage.lb.status()?.all_up())?;
    let up = back.elapsed();
    more_requests(&load, 60)?;
    let records = stop(load)?;
    ensure!(judge::shares(&records).len() == 3);
    expect_host(&stage.net)?;
    measured(format!(
        "down after {down:?}, {dropped} SYNs dropped as no_backend, ping and TCP to the host \
         answered; up again after {up:?}"
    ));
    Ok(())
}

/// The host answers pings on all its addresses, and TCP beside the service.
fn expect_host(net: &Topology) -> Result<()> {
    for address in [SERVICE, BALANCER_CLIENT_SIDE, BALANCER_BACKEND_SIDE] {
        let answered = net.client.enter(|| ping(address))?;
        answered.map_err(|error| error.context(format!("ping {address}")))?;
    }
    ensure!(Connection::open(&net.client, SSH)?.get("/")?.server == "host");
    Ok(())
}

/// Sends an echo request and waits for its reply (RFC 792).
fn ping(address: Ipv4Addr) -> Result<()> {
    const ECHO: [u8; 2] = [8, 0];
    const REPLY: [u8; 2] = [0, 0];
    const IDENTIFIER: [u8; 2] = [0xf0, 0x0b];
    let mut socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_read_timeout(Some(Duration::from_secs(3)))?;
    // Type and code, checksum (of these few words, without a carry), identifier, sequence number.
    let checksum = !(u16::from_be_bytes(ECHO) as u32 + u16::from_be_bytes(IDENTIFIER) as u32 + 1);
    let checksum = u16::try_from(checksum & 0xffff)?.to_be_bytes();
    let request = [ECHO, checksum, IDENTIFIER, [0, 1]].concat();
    socket.send_to(&request, &SockAddr::from(SocketAddrV4::new(address, 0)))?;
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        let mut packet = [0; 200];
        let length = socket.read(&mut packet)?;
        let header = usize::from(packet[0] & 0x0f) * 4;
        let from = &packet[12..16] == address.octets().as_slice();
        let Some(message) = packet[..length].get(header..) else { continue };
        if from && message.starts_with(&REPLY) && message.get(4..6) == Some(&IDENTIFIER[..]) {
            return Ok(());
        }
    }
    anyhow::bail!("no reply within 3 s")
}
