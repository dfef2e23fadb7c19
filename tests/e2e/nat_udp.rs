//! UDP through `nat`: many small questions, each with an answer from the service's own address.

use std::{
    collections::BTreeSet,
    io,
    net::{SocketAddr, SocketAddrV4, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{
    FoobarLb, Lab, NetNs, Topology, TopologySpec, foobar_lb_binary, judge, topology::SERVICE,
};

use crate::{
    cases, measured,
    support::{config, stage::wait_up},
};

cases![every_question_is_answered_by_the_service];

const DNS: SocketAddrV4 = SocketAddrV4::new(SERVICE, 53);
/// The client's ports, each with a flow of its own.
const PORTS: std::ops::Range<u16> = 20_000..21_000;
/// Questions in flight, so that no socket's buffer runs over.
const AT_ONCE: usize = 50;

fn every_question_is_answered_by_the_service(lab: &Lab) -> Result<()> {
    let net = Topology::build(&TopologySpec::default())?;
    let servers = net
        .backends
        .iter()
        .zip(1u8..)
        .map(|(host, number)| Echo::start(&host.ns, host.endpoint(53), number));
    let servers = servers.collect::<Result<Vec<_>>>()?;
    let backends: Vec<_> = net.backends.iter().map(|host| host.endpoint(53)).collect();
    let config = lab.write("foobar-lb.toml", &config::udp_service("dns", DNS, &backends))?;
    let lb = FoobarLb::new(foobar_lb_binary()?, &net.balancer);
    let mut controller = lb.run(lab, net.interfaces(), &config, &[])?;
    wait_up(&lb, &mut controller)?;

    let source = net.client_addresses[0];
    let mut shares = [0u64; 3];
    for ports in PORTS.collect::<Vec<_>>().chunks(AT_ONCE) {
        let sockets = net.client.enter(|| -> Result<Vec<UdpSocket>> {
            let bind = |port: &u16| UdpSocket::bind((source, *port));
            Ok(ports.iter().map(bind).collect::<io::Result<Vec<_>>>()?)
        })??;
        // Twice: the second question of a flow finds it established, at the same server.
        let mut answered_by = vec![BTreeSet::new(); sockets.len()];
        for round in 0..2u8 {
            for socket in &sockets {
                socket.send_to(&question(socket, round)?, DNS)?;
            }
            for (socket, servers) in sockets.iter().zip(&mut answered_by) {
                servers.insert(answer(socket, round)?);
            }
        }
        for servers in answered_by {
            let [server] = Vec::from_iter(servers)[..] else {
                anyhow::bail!("one flow, several servers");
            };
            shares[usize::from(server) - 1] += 1;
        }
    }
    judge::check_even(&shares, judge::possible_cpus()?)?;
    let stats = lb.stats()?;
    let counters = stats.service("dns")?.counters;
    ensure!(counters.new_flows == PORTS.len() as u64, "{} flows", counters.new_flows);
    ensure!(counters.packets_in == 2 * counters.new_flows, "{} packets in", counters.packets_in);
    ensure!(counters.packets_out == counters.packets_in, "{} packets out", counters.packets_out);
    measured(format!("{} client ports, 2 questions each, shares {shares:?}", PORTS.len()));
    drop(servers);
    Ok(())
}

/// A question that names its socket and round.
fn question(socket: &UdpSocket, round: u8) -> Result<Vec<u8>> {
    let port = socket.local_addr()?.port();
    Ok([&port.to_be_bytes()[..], &[round], b"foobar.example"].concat())
}

/// Receives the answer to a socket's own question; returns the server's number.
fn answer(socket: &UdpSocket, round: u8) -> Result<u8> {
    let mut buffer = [0; 100];
    socket.set_read_timeout(Some(Duration::from_secs(3)))?;
    let (length, from) = socket.recv_from(&mut buffer).context("no answer within 3 s")?;
    ensure!(from == SocketAddr::V4(DNS), "the answer came from {from}");
    let (server, echo) = buffer[..length].split_first().context("an empty answer")?;
    ensure!(echo == question(socket, round)?, "the answer to another question");
    Ok(*server)
}

/// A server that puts its number before what it got.
struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    fn start(ns: &NetNs, endpoint: SocketAddrV4, number: u8) -> Result<Self> {
        let socket = ns.enter(|| UdpSocket::bind(endpoint))?.context("binding")?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            buffer[0] = number;
            while !stopped.load(SeqCst) {
                // A time-out is a moment to look whether to stop.
                if let Ok((length, from)) = socket.recv_from(&mut buffer[1..]) {
                    socket.send_to(&buffer[..=length], from).ok();
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        drop(self.thread.take().map(JoinHandle::join));
    }
}
