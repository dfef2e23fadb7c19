//! What the demo shows: the namespaces, the servers, foobar-lb and the load.

use std::{
    fmt::Write as _,
    net::SocketAddrV4,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use foobar_lb_tests::{
    Child, FoobarLb, HttpServer, Lab, LoadClient, LoadPlan, Topology, TopologySpec,
    controller::{Stats, Status},
    judge::Death,
    topology::SERVICE,
};

/// The port of the service and of the servers.
const PORT: u16 = 80;
/// Requests a second.
pub const RATE: u32 = 250;
/// From one probe of a backend to the next, and how long one may take.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);
/// Probes in a row that turn a backend up, or down.
const PROBES: u32 = 2;
/// For the controller and for us to notice, on a machine that may be busy.
const MARGIN: Duration = Duration::from_millis(300);
/// How long the controller may take to end when asked.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// Where foobar-lb pins its programs, maps and links.
const PINS: &str = "/sys/fs/bpf/foobar-lb";

/// How long a change of a backend's health may take to be known and acted upon.
pub fn health_limit() -> Duration {
    PROBE_INTERVAL * PROBES + PROBE_TIMEOUT + MARGIN
}

/// All that runs. Dropped in the order of its fields: children before their namespaces.
pub struct Stage<'lab> {
    lab: &'lab Lab,
    /// The load on the service, paused at first.
    pub load: Option<LoadClient>,
    /// foobar-lb's controller.
    pub controller: Child,
    /// The backends' servers, in order; `None`: killed.
    pub servers: Vec<Option<HttpServer>>,
    /// foobar-lb's CLI.
    pub lb: FoobarLb,
    /// The namespaces.
    pub net: Topology,
}

impl<'lab> Stage<'lab> {
    /// Builds the network, and starts servers, foobar-lb and a paused load.
    pub fn build(lab: &'lab Lab, binary: PathBuf, xdp_mode: &str) -> Result<Self> {
        let net = Topology::build(&TopologySpec::default()).context("cannot build the network")?;
        let servers = (0..net.backends.len())
            .map(|index| start_server(lab, &net, index).map(Some))
            .collect::<Result<Vec<_>>>()?;
        let config = lab.write("foobar-lb.toml", &config(&net))?;
        let lb = FoobarLb::new(&binary, &net.balancer);
        let nics = net.interfaces();
        let controller = lb.run(lab, nics, &config, &["--xdp-mode", xdp_mode])?;
        let plan = LoadPlan {
            rate: RATE,
            sources: net.client_addresses.clone(),
            ..LoadPlan::new(SocketAddrV4::new(SERVICE, PORT))
        };
        let load = Some(LoadClient::start(&net.client, plan)?);
        Ok(Self { lab, load, controller, servers, lb, net })
    }

    /// The load; there until [`Stage::strike`].
    pub fn load(&self) -> Result<&LoadClient> {
        self.load.as_ref().context("the load has ended")
    }

    /// A server's name.
    pub fn name(index: usize) -> String {
        format!("b{}", index + 1)
    }

    /// A backend's address.
    pub fn address(&self, index: usize) -> String {
        self.net.backends[index].address.to_string()
    }

    /// `kill -9` of a server, by its pid.
    pub fn kill_server(&mut self, index: usize) -> Result<Death> {
        let mut server = self.servers[index].take().context("the server is dead already")?;
        let killed = Instant::now();
        server.process.kill()?;
        Ok(Death { killed, gone: Instant::now() })
    }

    /// Starts a killed server again; it listens on return.
    pub fn restart_server(&mut self, index: usize) -> Result<()> {
        self.servers[index] = Some(start_server(self.lab, &self.net, index)?);
        Ok(())
    }

    /// Fails with what the controller said last, if it has ended.
    pub fn expect_controller(&mut self) -> Result<()> {
        if let Some(status) = self.controller.exit_status()? {
            bail!("foobar-lb ended ({status}); it said last:\n{}", self.controller.log_tail(20));
        }
        Ok(())
    }

    /// Asks the controller for its status and its counters.
    pub fn ask(&mut self) -> Result<(Status, Stats)> {
        let answer = self.lb.status().and_then(|status| Ok((status, self.lb.stats()?)));
        answer.or_else(|error| self.expect_controller().and(Err(error)))
    }

    /// Ends all and removes all; returns what could not be.
    pub fn strike(mut self) -> Vec<String> {
        let mut leftovers = vec![];
        drop(self.load.take());
        if let Err(error) = self.controller.terminate(END_TIMEOUT) {
            leftovers.push(format!("{error:#}"));
        }
        if let Err(error) = self.lb.unload() {
            leftovers.push(format!("{error:#}"));
        }
        if Path::new(PINS).exists() {
            leftovers.push(format!("{PINS} is still there"));
        }
        for server in self.servers.iter_mut().flatten() {
            if let Err(error) = server.process.kill() {
                leftovers.push(format!("{error:#}"));
            }
        }
        leftovers
    }
}

fn start_server(lab: &Lab, net: &Topology, index: usize) -> Result<HttpServer> {
    let host = &net.backends[index];
    HttpServer::start(lab, &host.ns, host.endpoint(PORT), &Stage::name(index))
}

/// foobar-lb's configuration for the network.
fn config(net: &Topology) -> String {
    let mut text = format!(
        "[[service]]\nname = \"web\"\naddress = \"{SERVICE}\"\nport = {PORT}\n\
         protocol = \"tcp\"\n\n\
         [service.probe]\nkind = \"http\"\npath = \"/healthz\"\ninterval_ms = {}\ntimeout_ms = {}\n\
         rise = {PROBES}\nfall = {PROBES}\n",
        PROBE_INTERVAL.as_millis(),
        PROBE_TIMEOUT.as_millis(),
    );
    for backend in &net.backends {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[service.backend]]\naddress = \"{}\"\nport = {PORT}\n",
            backend.address
        );
    }
    text
}
