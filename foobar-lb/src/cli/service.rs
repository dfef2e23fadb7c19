//! `foobar-lb service` and `foobar-lb reload`

use clap::{Args, Subcommand};
use hyper::Method;

use super::{Format, output, word};
use crate::{
    api::{
        Client,
        types::{Changed, NewProbe, NewService, ServiceStatus, Status},
    },
    config::words::words,
    health::Health,
    model::{Endpoint, Protocol, Scheduler},
};

/// `foobar-lb service …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the services and their backends
    List,
    /// Add a service; it is in the configuration file afterwards
    #[command(after_help = "\
Example:
  foobar-lb service add web 203.0.113.10:80 --probe http --probe-path /healthz")]
    Add(AddArguments),
    /// Remove a service and its backends; they are out of the configuration file afterwards
    Remove {
        /// The service's name
        name: String,
    },
}

/// The arguments of `service add`.
#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// The new service's name
    name: String,

    /// Where clients reach it
    #[arg(value_name = "ADDRESS:PORT")]
    endpoint: Endpoint,

    /// tcp or udp
    #[arg(long, default_value_t = Protocol::Tcp, value_parser = word::<Protocol>)]
    protocol: Protocol,

    #[arg(long, default_value_t = Scheduler::RoundRobin, value_parser = word::<Scheduler>,
        help = format!("How new flows find their backend: {}", words::<Scheduler>().join(", ")))]
    scheduler: Scheduler,

    /// Probe the backends: tcp or http [default: no probe, backends count as up]
    #[arg(long, value_name = "KIND")]
    probe: Option<String>,

    /// The path of an http probe
    #[arg(long, value_name = "PATH", requires = "probe")]
    probe_path: Option<String>,

    /// The Host header of an http probe
    #[arg(long, value_name = "NAME", requires = "probe")]
    probe_host: Option<String>,

    /// The statuses that an http probe takes for good, like 200 or 200-399
    #[arg(long, value_name = "STATUS", requires = "probe")]
    probe_expect: Option<String>,

    /// Probe this port instead of the backend's own
    #[arg(long, value_name = "PORT", requires = "probe")]
    probe_port: Option<u16>,

    /// From probe to probe
    #[arg(long, value_name = "MILLISECONDS", requires = "probe")]
    interval_ms: Option<u64>,

    /// How long a probe may take
    #[arg(long, value_name = "MILLISECONDS", requires = "probe")]
    timeout_ms: Option<u64>,

    /// Good results in a row until a backend counts as up
    #[arg(long, value_name = "COUNT", requires = "probe")]
    rise: Option<u32>,

    /// Bad results in a row until a backend counts as down
    #[arg(long, value_name = "COUNT", requires = "probe")]
    fall: Option<u32>,
}

pub(super) async fn run(client: &Client, command: Command, format: Format) -> anyhow::Result<()> {
    match command {
        Command::List => {
            let status: Status = client.get("/v1/status").await?;
            match format {
                Format::Json => output::json(&status.services),
                Format::Table => output::print(&table(&status.services)),
            }
        }
        Command::Add(arguments) => {
            let service = arguments.request();
            tell(client.change(Method::POST, "/v1/services", Some(&service)).await?, format)
        }
        Command::Remove { name } => {
            let path = format!("/v1/services/{}", encode(&name));
            tell(client.change(Method::DELETE, &path, None::<&()>).await?, format)
        }
    }
}

pub(super) async fn reload(client: &Client, format: Format) -> anyhow::Result<()> {
    tell(client.change(Method::POST, "/v1/reload", None::<&()>).await?, format)
}

impl AddArguments {
    fn request(self) -> NewService {
        let Self {
            name,
            endpoint,
            protocol,
            scheduler,
            probe,
            probe_path,
            probe_host,
            probe_expect,
            probe_port,
            interval_ms,
            timeout_ms,
            rise,
            fall,
        } = self;
        NewService {
            name,
            protocol,
            address: endpoint.address,
            port: endpoint.port,
            scheduler,
            forward: Default::default(),
            probe: probe.map(|kind| NewProbe {
                kind,
                path: probe_path,
                host: probe_host,
                expect: probe_expect,
                interval_ms,
                timeout_ms,
                rise,
                fall,
                port: probe_port,
            }),
        }
    }
}

/// Says what was done.
pub(super) fn tell(changed: Changed, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::json(&changed),
        Format::Table => output::print(&changed.done),
    }
}

/// The services with their backends below them, as ipvsadm shows them, with HAProxy's states.
pub(super) fn table(services: &[ServiceStatus]) -> String {
    let mut table = output::table(
        &["SERVICE", "PROT", "ADDRESS:PORT", "SCHEDULER", "FORWARD", "WEIGHT", "STATE", "CHECK"],
        &[5],
    );
    for service in services {
        let up = service.backends.iter().filter(|b| b.effective_weight > 0).count();
        table.add_row([
            service.name.clone(),
            service.protocol.to_string().to_uppercase(),
            format!("{}:{}", service.address, service.port),
            service.scheduler.to_string(),
            String::new(),
            String::new(),
            if service.state == Health::Up { "UP" } else { "DOWN" }.to_owned(),
            format!("{up}/{} take new flows", service.backends.len()),
        ]);
        for backend in &service.backends {
            table.add_row([
                String::new(),
                String::new(),
                format!("-> {}:{}", backend.address, backend.port),
                String::new(),
                service.forward.to_string(),
                backend.weight.to_string(),
                super::backend::state_word(backend).to_owned(),
                super::backend::check_words(backend),
            ]);
        }
    }
    table.to_string()
}

/// Percent-encodes a path segment (RFC 3986 section 2.1).
pub(super) fn encode(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
