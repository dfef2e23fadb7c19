//! `foobar-lb backend`

use std::{net::Ipv4Addr, str::FromStr};

use clap::{Args, Subcommand};
use hyper::Method;

use super::{
    Format,
    exit::NoService,
    output,
    service::{encode, tell},
    word,
};
use crate::{
    api::{
        Client,
        types::{BackendChange, BackendStatus, NewBackend, ServiceStatus, Status},
    },
    health::Health,
    model::AdminState,
};

/// `foobar-lb backend …`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the backends, of one service or of all
    List {
        /// Only this service's
        service: Option<String>,
    },
    /// Add a backend; it is in the configuration file afterwards
    #[command(after_help = "Example:\n  foobar-lb backend add web/10.0.0.14:8080 --weight 2")]
    Add(AddArguments),
    /// Remove a backend; its flows are ended
    Remove {
        /// The backend
        #[arg(value_name = NAMED)]
        backend: Named,
    },
    /// Change a backend's weight or state
    #[command(after_help = "\
Examples:
  foobar-lb backend set web/10.0.0.11:8080 --state drain   no new flows; old ones go on
  foobar-lb backend set web/10.0.0.11:8080 --state maint   nothing at all; flows are ended
  foobar-lb backend set web/10.0.0.11:8080 --state ready   back in service")]
    Set(SetArguments),
}

const NAMED: &str = "SERVICE/ADDRESS[:PORT]";

/// The arguments of `backend add`.
#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// The new backend; the port is the service's unless given
    #[arg(value_name = NAMED)]
    backend: Named,
    /// Its share of new flows; 0 takes none
    #[arg(long, default_value_t = 1)]
    weight: u32,
    /// What is wanted of it: ready, drain or maint
    #[arg(long, default_value_t = AdminState::Ready, value_parser = word::<AdminState>)]
    state: AdminState,
}

/// The arguments of `backend set`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct SetChange {
    /// Its share of new flows; 0 takes none and keeps the old ones
    #[arg(long)]
    weight: Option<u32>,
    /// What is wanted of it: ready, drain or maint
    #[arg(long, value_parser = word::<AdminState>)]
    state: Option<AdminState>,
}

/// The arguments of `backend set`.
#[derive(Debug, Args)]
pub(super) struct SetArguments {
    /// The backend
    #[arg(value_name = NAMED)]
    backend: Named,
    #[command(flatten)]
    change: SetChange,
}

/// A backend as operators name it: `web/10.0.0.11:8080`, or `web/10.0.0.11` with the service's port.
#[derive(Clone, Debug)]
pub(super) struct Named {
    service: String,
    address: Ipv4Addr,
    port: Option<u16>,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a service and an address, like web/10.0.0.11:8080 or web/10.0.0.11"
            )
        };
        let (service, endpoint) = text.split_once('/').ok_or_else(wrong)?;
        let (address, port) = match endpoint.split_once(':') {
            Some((address, port)) => (address, Some(port.parse().map_err(|_| wrong())?)),
            None => (endpoint, None),
        };
        let address = address.parse().map_err(|_| wrong())?;
        if service.is_empty() || port == Some(0) {
            return Err(wrong());
        }
        Ok(Self { service: service.to_owned(), address, port })
    }
}

impl Named {
    fn path(&self) -> String {
        let service = encode(&self.service);
        match self.port {
            Some(port) => format!("/v1/services/{service}/backends/{}:{port}", self.address),
            None => format!("/v1/services/{service}/backends/{}", self.address),
        }
    }
}

pub(super) async fn run(client: &Client, command: Command, format: Format) -> anyhow::Result<()> {
    match command {
        Command::List { service } => list(client, service.as_deref(), format).await,
        Command::Add(AddArguments { backend, weight, state }) => {
            let Named { service, address, port } = backend;
            let path = format!("/v1/services/{}/backends", encode(&service));
            let body = NewBackend { address, port, weight, state };
            tell(client.change(Method::POST, &path, Some(&body)).await?, format)
        }
        Command::Remove { backend } => {
            tell(client.change(Method::DELETE, &backend.path(), None::<&()>).await?, format)
        }
        Command::Set(SetArguments { backend, change: SetChange { weight, state } }) => {
            let body = BackendChange { weight, state };
            tell(client.change(Method::PATCH, &backend.path(), Some(&body)).await?, format)
        }
    }
}

async fn list(client: &Client, service: Option<&str>, format: Format) -> anyhow::Result<()> {
    let mut status: Status = client.get("/v1/status").await?;
    if let Some(name) = service {
        let names: Vec<_> = status.services.iter().map(|s| s.name.clone()).collect();
        status.services.retain(|service| service.name == name);
        if status.services.is_empty() {
            let there = names.join(", ");
            return Err(NoService { name: name.to_owned(), there }.into());
        }
    }
    match format {
        Format::Json => {
            #[derive(serde::Serialize)]
            struct Row<'a> {
                service: &'a str,
                #[serde(flatten)]
                backend: &'a BackendStatus,
            }
            let rows: Vec<Row<'_>> = status
                .services
                .iter()
                .flat_map(|s| s.backends.iter().map(|backend| Row { service: &s.name, backend }))
                .collect();
            output::json(&rows)
        }
        Format::Table => output::print(&table(&status.services)),
    }
}

fn table(services: &[ServiceStatus]) -> String {
    let mut table =
        output::table(&["BACKEND", "WEIGHT", "EFFECTIVE", "ADMIN", "STATE", "CHECK"], &[1, 2]);
    for service in services {
        for backend in &service.backends {
            table.add_row([
                format!("{}/{}:{}", service.name, backend.address, backend.port),
                backend.weight.to_string(),
                backend.effective_weight.to_string(),
                backend.state.to_string(),
                state_word(backend).to_owned(),
                check_words(backend),
            ]);
        }
    }
    table.to_string()
}

/// The state in HAProxy's words.
pub(super) fn state_word(backend: &BackendStatus) -> &'static str {
    match (backend.state, backend.health) {
        (AdminState::Maint, _) => "MAINT",
        (_, Health::Down) => "DOWN",
        (_, Health::Unknown) => "INI",
        (AdminState::Drain, Health::Up) => "DRAIN",
        (AdminState::Ready, Health::Up) if backend.weight == 0 => "DRAIN",
        (AdminState::Ready, Health::Up) => "UP",
    }
}

/// The last probe, with HAProxy's star while another is under way.
pub(super) fn check_words(backend: &BackendStatus) -> String {
    match &backend.check {
        None => "no probe".to_owned(),
        Some(check) => {
            let star = if check.probing { "* " } else { "" };
            let ms = check.duration_us as f64 / 1000.0;
            format!("{star}{} in {ms:.1} ms: {}", check.result, check.detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let named: Named = "web/10.0.0.11:8080".parse().unwrap();
        assert_eq!(named.path(), "/v1/services/web/backends/10.0.0.11:8080");
        let named: Named = "web/10.0.0.11".parse().unwrap();
        assert_eq!(named.path(), "/v1/services/web/backends/10.0.0.11");
        for wrong in ["web", "web/", "/10.0.0.1", "web/10.0.0.1:0", "web/10.0.0.1:x", "web/10.0.0"]
        {
            assert!(wrong.parse::<Named>().is_err(), "{wrong}");
        }
    }
}
