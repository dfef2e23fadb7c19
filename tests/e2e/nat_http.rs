//! HTTP through `nat`: curl against nginx, even shares, one arm, generic mode, ports used again.

use std::{
    io,
    net::SocketAddrV4,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use foobar_lb_tests::{
    FoobarLb, Lab, Topology, TopologySpec, foobar_lb_binary, judge, topology::SERVICE, wait_until,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    cases, measured,
    support::{
        config::{self, STEADY_PROBE},
        http::Connection,
        nginx::{self, Nginx, www},
        stage::{SOON, Spec, Stage, TOO_LONG, WEB, slowest, wait_up},
    },
};

cases![
    curl_against_nginx,
    a_thousand_connections_are_even_and_counted,
    one_arm,
    generic_mode,
    a_port_is_used_again_at_once,
];

fn curl_against_nginx(lab: &Lab) -> Result<()> {
    let net = Topology::build(&TopologySpec::default())?;
    let servers = net.backends.iter().map(|host| Nginx::start(lab, host));
    let servers = servers.collect::<Result<Vec<_>>>()?;
    let backends: Vec<_> = net.backends.iter().map(|host| host.endpoint(80)).collect();
    let config =
        lab.write("foobar-lb.toml", &config::service("web", WEB, STEADY_PROBE, &backends))?;
    let lb = FoobarLb::new(foobar_lb_binary()?, &net.balancer);
    let mut controller = lb.run(lab, net.interfaces(), &config, &[])?;
    wait_up(&lb, &mut controller)?;
    let curl = |args: &[&str]| {
        net.client.run(&[&["curl", "-sS", "--fail", "--max-time", "20"][..], args].concat())
    };
    let url = |path: &str| format!("http://{SERVICE}{path}");

    // The body names the server and the client's real address, for each of its addresses.
    for address in &net.client_addresses {
        let body = curl(&["--interface", &address.to_string(), &url("/")])?;
        let (server, client) = body.trim().split_once(" sees ").context("nginx's answer")?;
        ensure!(client == address.to_string(), "nginx saw {client} instead of {address}");
        ensure!(backends.iter().any(|b| b.ip().to_string() == server), "who is {server}?");
    }
    let lines = servers.iter().map(Nginx::access_log).collect::<Result<Vec<_>>>()?.concat();
    for address in &net.client_addresses {
        let prefix = format!("{address} connection=");
        ensure!(lines.iter().any(|line| line.starts_with(&prefix)), "{address} is in no log");
    }

    // Keep-alive: five requests, one connection.
    let (page, sink) = (url("/"), ["-o", "/dev/null"]);
    let mut args = vec!["-w", "%{num_connects} "];
    for _ in 0..5 {
        args.extend(sink);
        args.push(&page);
    }
    let connects = curl(&args)?;
    ensure!(connects.trim() == "1 0 0 0 0", "connections for five requests: {connects}");
    let lines = servers.iter().map(Nginx::access_log).collect::<Result<Vec<_>>>()?.concat();
    ensure!(lines.iter().any(|line| line.contains("requests=5 GET / 200")), "no fifth request");

    // Large bodies, both ways.
    for mebibytes in [1, 100] {
        let (name, got) = (format!("{mebibytes}m"), lab.dir().join("download"));
        nginx::random_file(&www(lab).join(&name), mebibytes)?;
        let rate =
            curl(&["-o", text(&got)?, "-w", "%{speed_download}", &url(&format!("/{name}"))])?;
        ensure!(sha256(&got)? == sha256(&www(lab).join(&name))?, "{mebibytes} MiB differ");
        let rate = rate.parse::<f64>().context("curl's rate")? * 8.0 / 1e6;
        measured(format!("{mebibytes} MiB downloaded at {rate:.0} Mbit/s, sha256 equal"));
    }
    let (source, name) = (www(lab).join("100m"), "upload/100m");
    let source_text = text(&source)?;
    let code = curl(&["-T", source_text, "-w", "%{http_code}", &url(&format!("/{name}"))])?;
    ensure!(code == "201", "the upload was answered {code}");
    let landed: Vec<_> = servers.iter().map(|s| s.upload("100m")).filter(|f| f.exists()).collect();
    ensure!(landed.len() == 1, "the upload landed {} times", landed.len());
    ensure!(sha256(&landed[0])? == sha256(&source)?, "the upload differs");
    measured("100 MiB uploaded, sha256 equal");
    Ok(())
}

fn a_thousand_connections_are_even_and_counted(lab: &Lab) -> Result<()> {
    let stage = Stage::web(lab)?;
    let records = stage.requests(1000)?;
    let shares = judge::shares(&records);
    let counts: Vec<u64> =
        ["b1", "b2", "b3"].map(|name| shares.get(name).copied().unwrap_or(0)).into();
    judge::check_even(&counts, judge::possible_cpus()?)?;

    // The very numbers that the client counted; its last acknowledgements may be under way.
    let stats = wait_until("every packet to be counted once", SOON, || {
        let stats = stage.lb.stats()?;
        let total = stats.service("web")?.counters;
        let sent = ["forwarded_redirect", "kernel_no_neighbour", "kernel_route"];
        let sent = sent.iter().map(|name| stats.reason(name)).sum::<Result<u64>>()?;
        let packets = total.packets_in + total.packets_out;
        ensure!(packets == sent, "{packets} of the service, {sent} sent");
        Ok(stats)
    })?;
    let web = stats.service("web")?;
    let by_backend: Vec<u64> = web.backends.iter().map(|b| b.counters.new_flows).collect();
    ensure!(by_backend == counts, "foobar-lb counted {by_backend:?}, the client {counts:?}");
    let flows = web.counters.new_flows;
    ensure!(flows == records.len() as u64, "{flows} flows, {} requests", records.len());
    let sum = |pick: fn(&foobar_lb_tests::controller::Counters) -> u64| {
        web.backends.iter().map(|backend| pick(&backend.counters)).sum::<u64>()
    };
    ensure!(sum(|c| c.packets_in) == web.counters.packets_in, "packets in by backend");
    ensure!(sum(|c| c.bytes_out) == web.counters.bytes_out, "bytes out by backend");
    // At least SYN, ACK, request, FIN, and SYN-ACK, answer, FIN.
    ensure!(web.counters.packets_in >= 4 * flows && web.counters.packets_out >= 3 * flows);
    measured(format!("{} connections: {counts:?}; new_flows {by_backend:?}", records.len()));
    Ok(())
}

fn one_arm(lab: &Lab) -> Result<()> {
    let stage = Stage::build(lab, &Spec::one_arm())?;
    let body = stage.net.client.run(&["curl", "-sS", "--fail", &format!("http://{WEB}/")])?;
    ensure!(body.contains(" 198.51.100.10:"), "the server saw {body:?}");
    let records = stage.requests(200)?;
    let mut shares = judge::shares(&records);
    let first = body.split(' ').next().context("the server's name")?;
    *shares.get_mut(first).context("its share")? += 1;
    judge::check_even(&shares.values().copied().collect::<Vec<_>>(), judge::possible_cpus()?)?;
    let stats = stage.lb.stats()?;
    let (tx, redirect) = (stats.reason("forwarded_tx")?, stats.reason("forwarded_redirect")?);
    ensure!(tx >= 7 * records.len() as u64, "only {tx} packets by XDP_TX");
    ensure!(redirect == 0, "{redirect} packets went to another interface");
    measured(format!("{} requests {shares:?}, {tx} packets by XDP_TX", records.len()));
    Ok(())
}

fn generic_mode(lab: &Lab) -> Result<()> {
    let arguments = &["--xdp-mode", "generic"];
    let mut stage = Stage::build(lab, &Spec { arguments, ..Default::default() })?;
    // From one mode to the other by a restart, and back.
    for wanted in ["generic", "native", "generic"] {
        stage.controller.kill()?;
        let nics = stage.net.interfaces();
        stage.controller = stage.lb.run(lab, nics, &stage.config, &["--xdp-mode", wanted])?;
        let mode = stage.wait_up()?.xdp_mode();
        ensure!(mode == wanted, "the mode is {mode}, asked for was {wanted}");
        stage.get()?;
    }
    let link = stage.net.balancer.run(&["ip", "link", "show", "eth0"])?;
    ensure!(link.contains("xdpgeneric"), "the kernel says {link}");
    let records = stage.requests(200)?;
    let shares: Vec<u64> = judge::shares(&records).into_values().collect();
    judge::check_even(&shares, judge::possible_cpus()?)?;
    let body = Connection::open(&stage.net.client, WEB)?.get("/bytes/1000000")?.body;
    ensure!(body.len() == 1_000_000 && is_digits(&body), "a megabyte came out wrong");
    measured(format!("{} requests {shares:?}, slowest {:?}", records.len(), slowest(&records)));
    Ok(())
}

/// What `/bytes/N` answers.
fn is_digits(body: &[u8]) -> bool {
    body.iter().zip((b'0'..=b'9').cycle()).all(|(got, wanted)| *got == wanted)
}

/// A SYN with the ports of a connection that is over begins a new one, with any backend.
fn a_port_is_used_again_at_once(lab: &Lab) -> Result<()> {
    const ROUNDS: usize = 200;
    let stage = Stage::build(lab, &Spec { probe: config::NO_PROBE, ..Default::default() })?;
    for (way, port) in [("reset", 40_001), ("fin", 40_002)] {
        let source = SocketAddrV4::new(stage.net.client_addresses[0], port);
        let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
        for round in 0..ROUNDS {
            let round_begun = Instant::now();
            let socket = connect_from(&stage, source, way == "reset")?;
            let mut connection = Connection::over(socket, WEB, SOON)?;
            let answer = match way {
                "reset" => connection.get("/"),
                // The server closes first, so that TIME-WAIT is its own and meets our next SYN.
                _ => connection.get_and_wait_for_close("/"),
            };
            answer.with_context(|| format!("closed by {way}, round {round}"))?;
            slowest = slowest.max(round_begun.elapsed());
        }
        ensure!(slowest < TOO_LONG, "closed by {way}: a SYN was lost, {slowest:?}");
        let seconds = begun.elapsed().as_secs_f64();
        measured(format!(
            "{ROUNDS} times one port, closed by {way}: {seconds:.1} s, slowest {slowest:?}"
        ));
    }
    let flows = stage.lb.stats()?.service("web")?.counters.new_flows;
    ensure!(flows >= 2 * ROUNDS as u64, "only {flows} flows began");
    Ok(())
}

/// Connects from a port that was used a moment ago; its end is a reset, or a FIN.
fn connect_from(stage: &Stage<'_>, source: SocketAddrV4, resets: bool) -> Result<Socket> {
    let connect = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if resets {
            socket.set_linger(Some(Duration::ZERO))?;
        }
        socket.bind(&source.into())?;
        socket.connect_timeout(&WEB.into(), SOON)?;
        Ok(socket)
    };
    // The socket of the last round may still wait for its last acknowledgement.
    wait_until("the port to be free", SOON, || match stage.net.client.enter(connect)? {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Err(error.into()),
        other => Ok(other.with_context(|| format!("connecting from {source}"))),
    })?
}

fn sha256(file: &Path) -> Result<String> {
    let output = std::process::Command::new("sha256sum").arg(file).output()?;
    ensure!(output.status.success(), "sha256sum: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(' ').next().context("a sum")?.to_owned())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
