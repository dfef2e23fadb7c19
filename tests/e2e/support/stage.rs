//! The usual set: a network, a server on each backend, and foobar-lb with one service for them.

use std::{
    net::SocketAddrV4,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use foobar_lb_tests::{
    Arms, Child, FoobarLb, HttpServer, Lab, LoadClient, LoadPlan, Topology, TopologySpec,
    controller::Status,
    foobar_lb_binary,
    judge::{self, Death},
    load::Record,
    topology::SERVICE,
    wait_until,
};

use super::{
    config::{self, STEADY_PROBE},
    http::Connection,
};

/// Long enough for whatever takes a moment, also on a busy machine: attaching waits for an RCU grace
/// period, which takes seconds where every CPU is taken.
pub const SOON: Duration = Duration::from_secs(30);
/// A lost SYN comes again after a second: what takes less than this has lost none.
pub const TOO_LONG: Duration = Duration::from_millis(900);
/// Where the service `web` is.
pub const WEB: SocketAddrV4 = SocketAddrV4::new(SERVICE, 80);
/// Where foobar-lb pins by default.
pub const PINS: &str = "/sys/fs/bpf/foobar-lb";
/// Where its socket is by default.
pub const SOCKET: &str = "/run/foobar-lb/foobar-lb.sock";

/// What to set up.
#[derive(Clone, Debug)]
pub struct Spec {
    /// How many NICs the balancer has.
    pub arms: Arms,
    /// The probe of the service `web`.
    pub probe: &'static str,
    /// What comes before the service in the configuration.
    pub head: &'static str,
    /// Whether frames must arrive that leave the balancer's `eth0` by XDP_TX. See [`bystander`].
    pub tx: bool,
    /// More arguments for `foobar-lb run`.
    pub arguments: &'static [&'static str],
}

impl Default for Spec {
    fn default() -> Self {
        Self { arms: Arms::Two, probe: STEADY_PROBE, head: "", tx: false, arguments: &[] }
    }
}

impl Spec {
    /// One arm: every packet leaves by XDP_TX.
    pub fn one_arm() -> Self {
        Self { arms: Arms::One, tx: true, ..Self::default() }
    }
}

/// All that runs. Dropped in the order of its fields: processes before their namespaces.
pub struct Stage<'lab> {
    pub controller: Child,
    /// The servers `b1` and on, by their backend's index; `None`: killed.
    pub servers: Vec<Option<HttpServer>>,
    pub lb: FoobarLb,
    /// The configuration file.
    pub config: PathBuf,
    pub net: Topology,
    pub lab: &'lab Lab,
    spec: Spec,
    _bystander: Option<Child>,
}

impl<'lab> Stage<'lab> {
    /// Two arms, three servers, and the service `web` with a steady probe.
    pub fn web(lab: &'lab Lab) -> Result<Self> {
        Self::build(lab, &Spec::default())
    }

    /// Sets up, and returns when all is up.
    pub fn build(lab: &'lab Lab, spec: &Spec) -> Result<Self> {
        let net = Topology::build(&TopologySpec { arms: spec.arms, ..Default::default() })?;
        let backends: Vec<_> = net.backends.iter().map(|backend| backend.endpoint(80)).collect();
        let text = spec.head.to_owned() + &config::service("web", WEB, spec.probe, &backends);
        Self::build_on(lab, net, &text, spec)
    }

    /// Sets up on a network, with a configuration of the case's own.
    pub fn build_on(lab: &'lab Lab, net: Topology, text: &str, spec: &Spec) -> Result<Self> {
        let servers = (0..net.backends.len())
            .map(|index| start_server(lab, &net, index).map(Some))
            .collect::<Result<_>>()?;
        let config = lab.write("foobar-lb.toml", text)?;
        let bystander = if spec.tx { Some(bystander(lab, &net)?) } else { None };
        let lb = FoobarLb::new(foobar_lb_binary()?, &net.balancer);
        let controller = lb.run(lab, net.interfaces(), &config, spec.arguments)?;
        let spec = spec.clone();
        let mut stage =
            Self { controller, servers, lb, config, net, lab, spec, _bystander: bystander };
        stage.wait_up()?;
        Ok(stage)
    }

    /// Waits until the controller of the present process answers and all is up.
    pub fn wait_up(&mut self) -> Result<Status> {
        wait_up(&self.lb, &mut self.controller)
    }

    /// Starts the controller again, after its end; returns when all is up.
    pub fn start_controller(&mut self) -> Result<Status> {
        ensure!(!self.controller.is_running(), "the old controller still runs");
        let (nics, arguments) = (self.net.interfaces(), self.spec.arguments);
        self.controller = self.lb.run(self.lab, nics, &self.config, arguments)?;
        self.wait_up()
    }

    /// A backend's address.
    pub fn address(&self, index: usize) -> String {
        self.net.backends[index].address.to_string()
    }

    /// One request over a connection of its own; returns the server's name.
    pub fn get(&self) -> Result<String> {
        Ok(Connection::open(&self.net.client, WEB)?.get("/")?.server)
    }

    /// A connection that a certain server answers on.
    pub fn connection_to(&self, server: &str) -> Result<Connection> {
        // Round-robin comes by, on whichever CPU.
        for _ in 0..100 {
            let mut connection = Connection::open(&self.net.client, WEB)?;
            if connection.get("/")?.server == server {
                return Ok(connection);
            }
        }
        bail!("none of 100 connections went to {server}")
    }

    /// A steady load on the service, already running.
    pub fn load(&self, rate: u32) -> Result<LoadClient> {
        self.load_of(LoadPlan { rate, ..LoadPlan::new(WEB) })
    }

    /// A load of the case's own, from all client addresses.
    pub fn load_of(&self, plan: LoadPlan) -> Result<LoadClient> {
        let plan = LoadPlan { sources: self.net.client_addresses.clone(), ..plan };
        let load = LoadClient::start(&self.net.client, plan)?;
        load.resume();
        Ok(load)
    }

    /// At least `count` requests, each over a connection of its own; none may fail.
    pub fn requests(&self, count: usize) -> Result<Vec<Record>> {
        let load = self.load(400)?;
        more_requests(&load, count)?;
        stop(load)
    }

    /// `kill -9` of a server.
    pub fn kill_server(&mut self, index: usize) -> Result<Death> {
        let mut server = self.servers[index].take().context("the server is dead already")?;
        let killed = Instant::now();
        server.process.kill()?;
        Ok(Death { killed, gone: Instant::now() })
    }

    /// Starts a killed server again.
    pub fn restart_server(&mut self, index: usize) -> Result<()> {
        self.servers[index] = Some(start_server(self.lab, &self.net, index)?);
        Ok(())
    }

    /// Waits until a backend has this health.
    pub fn wait_health(&self, index: usize, health: &str) -> Result<Status> {
        let address = self.address(index);
        wait_until(&format!("{address} to be {health}"), SOON, || {
            let status = self.lb.status()?;
            status.backend(&address)?.expect_health(health)?;
            Ok(status)
        })
    }
}

/// Starts a foobar-lb without services on the other end of the balancer's `eth0`, where it passes
/// everything.
///
/// veth wakes the other end for frames that were sent by XDP_TX only if a program runs there, too;
/// without one they wait for the next ordinary frame (`veth_xdp_flush` in
/// <https://github.com/torvalds/linux/blob/v6.12/drivers/net/veth.c>).
fn bystander(lab: &Lab, net: &Topology) -> Result<Child> {
    let (ns, nic) = match net.arms {
        Arms::One => (&net.switch, "lb"),
        Arms::Two => (&net.client, "eth0"),
    };
    let config = lab.write("bystander.toml", "[global]\nmanage_sysctls = false\n")?;
    let mut command = ns.command(foobar_lb_binary()?);
    command.args(["--socket", "/run/bystander.sock", "run", "--iface", nic]);
    command.args(["--pin-root", "/sys/fs/bpf/bystander", "--config"]).arg(config);
    let mut child = Child::spawn(lab, "bystander", &mut command)?;
    child.wait_for_log("ready; pid", SOON)?;
    Ok(child)
}

/// Waits until this controller answers and all is up; fails at once if it ends.
pub fn wait_up(lb: &FoobarLb, controller: &mut Child) -> Result<Status> {
    wait_until("foobar-lb to be up", SOON, || {
        if let Some(status) = controller.exit_status()? {
            return Ok(Err(anyhow::anyhow!("foobar-lb ended at once: {status}")));
        }
        let status = lb.status()?;
        ensure!(status.pid == controller.pid(), "another controller answers");
        status.all_up()?;
        Ok(Ok(status))
    })?
}

/// Waits until a load has ended `count` more requests.
pub fn more_requests(load: &LoadClient, count: usize) -> Result<()> {
    let wanted = load.done() + count;
    wait_until(&format!("{count} more requests"), SOON, || {
        let done = load.done();
        ensure!(done >= wanted, "{} to go", wanted - done);
        Ok(())
    })
}

/// Lets a load's requests end, and returns its records; none may have failed.
pub fn stop(load: LoadClient) -> Result<Vec<Record>> {
    load.pause(SOON)?;
    let records = load.stop()?;
    expect_no_failure(&records, &[])?;
    Ok(records)
}

/// Fails on failures that no death excuses; returns how many were excused.
pub fn expect_no_failure(records: &[Record], deaths: &[Death]) -> Result<usize> {
    let (excused, failed) = judge::failures(records, deaths);
    if let Some(first) = failed.first().and_then(|record| record.outcome.as_ref().err()) {
        bail!("{} of {} requests failed; the first: {first}", failed.len(), records.len());
    }
    Ok(excused.len())
}

/// The longest request.
pub fn slowest(records: &[Record]) -> Duration {
    records.iter().map(|record| record.end - record.start).max().unwrap_or_default()
}

/// What the kernel shows of XDP on the NICs of a namespace: those that run a program.
pub fn nics_with_xdp(stage: &Stage<'_>) -> Result<Vec<String>> {
    let text = stage.net.balancer.run(&["ip", "-j", "-d", "link", "show"])?;
    let links: Vec<serde_json::Value> = serde_json::from_str(&text)?;
    let with = links.iter().filter(|link| !link["xdp"].is_null());
    Ok(with.filter_map(|link| link["ifname"].as_str().map(str::to_owned)).collect())
}

/// Whether anything is pinned.
pub fn pins_exist() -> bool {
    Path::new(PINS).exists()
}

fn start_server(lab: &Lab, net: &Topology, index: usize) -> Result<HttpServer> {
    let host = &net.backends[index];
    HttpServer::start(lab, &host.ns, host.endpoint(80), &format!("b{}", index + 1))
}
