//! Services and backends in TOML: only what differs from the defaults is written.
#![forbid(unsafe_code)]

use toml_edit::Value;

use super::super::{
    keys::{backend, probe, service},
    schema::{Fallback, Key},
};
use crate::model::{Backend, Probe, ProbeKind, Service};

/// `key` and the value as TOML, in the order in which they are written.
pub(super) type Pairs = Vec<(&'static str, String)>;

/// The keys of a service, without its probe and backends.
pub(super) fn service(service: &Service) -> Pairs {
    let mut pairs = Pairs::new();
    always(&mut pairs, &service::NAME, service.name.as_str());
    always(&mut pairs, &service::ADDRESS, service.endpoint.address.to_string());
    always(&mut pairs, &service::PORT_, i64::from(service.endpoint.port));
    unless_default(&mut pairs, &service::PROTOCOL, service.protocol.to_string());
    unless_default(&mut pairs, &service::SCHEDULER, service.scheduler.to_string());
    unless_default(&mut pairs, &service::FORWARD, service.forward.to_string());
    pairs
}

/// The keys of a probe.
pub(super) fn probe(probe: &Probe) -> Pairs {
    let Probe { kind, interval, timeout, rise, fall, port } = probe;
    let mut pairs = Pairs::new();
    let millis = |d: &std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    let word = match kind {
        ProbeKind::Tcp => "tcp",
        ProbeKind::Http { .. } => "http",
    };
    always(&mut pairs, &probe::KIND, word);
    if let ProbeKind::Http { path, host, expect: (low, high) } = kind {
        unless_default(&mut pairs, &probe::PATH, path.clone());
        if let Some(host) = host {
            always(&mut pairs, &probe::HOST, host.as_str());
        }
        let range = if low == high { low.to_string() } else { format!("{low}-{high}") };
        unless_default(&mut pairs, &probe::EXPECT, range);
    }
    number_unless_default(&mut pairs, &probe::INTERVAL_MS, millis(interval));
    number_unless_default(&mut pairs, &probe::TIMEOUT_MS, millis(timeout));
    number_unless_default(&mut pairs, &probe::RISE, i64::from(*rise));
    number_unless_default(&mut pairs, &probe::FALL, i64::from(*fall));
    if let Some(port) = port {
        always(&mut pairs, &probe::PORT_, i64::from(*port));
    }
    pairs
}

/// The keys of a backend.
pub(super) fn backend(backend: &Backend, service_port: u16) -> Pairs {
    let Backend { endpoint, weight, state } = backend;
    let mut pairs = Pairs::new();
    always(&mut pairs, &backend::ADDRESS, endpoint.address.to_string());
    if endpoint.port != service_port {
        always(&mut pairs, &backend::PORT_, i64::from(endpoint.port));
    }
    number_unless_default(&mut pairs, &backend::WEIGHT, i64::from(*weight));
    unless_default(&mut pairs, &backend::STATE, state.to_string());
    pairs
}

/// `{ key = value, key = value }`
pub(super) fn inline(pairs: &Pairs) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn always(pairs: &mut Pairs, key: &Key, value: impl Into<Value>) {
    pairs.push((key.name, value.into().to_string()));
}

fn unless_default(pairs: &mut Pairs, key: &Key, value: String) {
    if !matches!(key.fallback, Fallback::Text(default) if default == value) {
        always(pairs, key, value);
    }
}

fn number_unless_default(pairs: &mut Pairs, key: &Key, value: i64) {
    let default = matches!(key.fallback, Fallback::Integer(n) if i64::try_from(n) == Ok(value));
    if !default {
        always(pairs, key, value);
    }
}
