//! From a parsed file to the model: every value by its rule, then what must hold between values.
//!
//! A draft keeps what could be read of a service that has errors, so that clashes with its other
//! values are still found and reported in the same run.
#![forbid(unsafe_code)]

use std::{collections::HashMap, hash::Hash, net::Ipv4Addr, ops::Range, time::Duration};

use toml::de::DeTable;

use super::{
    diagnostic::{Fault, Problems},
    keys::{self, backend, global, limits, probe, root, service},
    reader::{Field, Fields},
    schema::{Key, Kind},
    values,
    words::ProbeWord,
};
use crate::model::{
    AdminState, Backend, Config, Endpoint, ForwardMode, Limits, Probe, ProbeKind, Protocol,
    Scheduler, Service,
};

/// Reads the whole file. `None` only if a problem was reported; with problems, the configuration
/// must not be used even if there is one.
pub(super) fn config(document: &DeTable<'_>, problems: &mut Problems<'_>) -> Option<Config> {
    let top = Fields::open(&keys::ROOT, document, 0..0, problems);
    let manage_sysctls = match top.table(&root::GLOBAL, problems) {
        Some(fields) => fields.flag(&global::MANAGE_SYSCTLS, problems),
        None => Some(true),
    };
    let limits = match top.table(&root::LIMITS, problems) {
        Some(fields) => read_limits(&fields, problems),
        None => Some(Limits::default()),
    };
    let tables = top.tables(&root::SERVICE, problems);
    let drafts: Vec<ServiceDraft> = tables.iter().map(|t| read_service(t, problems)).collect();

    check_services(&drafts, problems);
    if let Some(limits) = &limits {
        check_limits(&drafts, limits, problems);
    }
    Some(Config {
        limits: limits?,
        manage_sysctls: manage_sysctls?,
        services: drafts.into_iter().map(ServiceDraft::build).collect::<Option<_>>()?,
    })
}

/// What could be read of a service.
struct ServiceDraft {
    span: Range<usize>,
    name: Option<Field<String>>,
    address: Option<Field<Ipv4Addr>>,
    port: Option<Field<u16>>,
    protocol: Option<Protocol>,
    scheduler: Option<Scheduler>,
    forward: Option<ForwardMode>,
    /// The outer `None`: there is one, and it has errors.
    probe: Option<Option<Probe>>,
    backends: Vec<BackendDraft>,
}

/// What could be read of a backend.
struct BackendDraft {
    span: Range<usize>,
    address: Option<Field<Ipv4Addr>>,
    port: Option<u16>,
    weight: Option<u32>,
    state: Option<AdminState>,
}

impl ServiceDraft {
    fn endpoint(&self) -> Option<Endpoint> {
        let (address, port) = (self.address.as_ref()?.value, self.port.as_ref()?.value);
        Some(Endpoint { address, port })
    }

    fn build(self) -> Option<Service> {
        Some(Service {
            endpoint: self.endpoint()?,
            name: self.name?.value,
            protocol: self.protocol?,
            scheduler: self.scheduler?,
            forward: self.forward?,
            probe: self.probe?,
            backends: self.backends.into_iter().map(BackendDraft::build).collect::<Option<_>>()?,
        })
    }
}

impl BackendDraft {
    fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint { address: self.address.as_ref()?.value, port: self.port? })
    }

    fn build(self) -> Option<Backend> {
        Some(Backend { endpoint: self.endpoint()?, weight: self.weight?, state: self.state? })
    }
}

fn read_limits(fields: &Fields<'_, '_>, problems: &mut Problems<'_>) -> Option<Limits> {
    let mut entries = |key| fields.integer(key, problems).map(|field| field.value);
    let (services, backends) = (entries(&limits::SERVICES), entries(&limits::BACKENDS));
    let (flows, new_flows) = (entries(&limits::FLOWS), entries(&limits::NEW_FLOWS));
    let slots = entries(&limits::SLOTS);
    Some(Limits {
        services: services?,
        backends: backends?,
        slots: slots?,
        flows: flows?,
        new_flows: new_flows?,
    })
}

fn read_service(fields: &Fields<'_, '_>, problems: &mut Problems<'_>) -> ServiceDraft {
    let name = fields.text(&service::NAME, values::name, problems);
    let address = fields.text(&service::ADDRESS, values::address, problems);
    let port = fields.integer(&service::PORT_, problems);
    let protocol = fields.word(&service::PROTOCOL, problems).map(|f| f.value);
    let scheduler = fields.word(&service::SCHEDULER, problems).map(|f| f.value);
    let forward = fields.word(&service::FORWARD, problems).map(|f| f.value);
    let probe = match fields.given(&service::PROBE) {
        None => Some(None),
        Some(_) => fields
            .table(&service::PROBE, problems)
            .and_then(|fields| read_probe(&fields, protocol, problems))
            .map(Some),
    };
    let backends = fields
        .tables(&service::BACKEND, problems)
        .iter()
        .map(|table| read_backend(table, port.as_ref().map(|f| f.value), problems))
        .collect();
    let span = fields.span();
    ServiceDraft { span, name, address, port, protocol, scheduler, forward, probe, backends }
}

fn read_backend(
    fields: &Fields<'_, '_>,
    service_port: Option<u16>,
    problems: &mut Problems<'_>,
) -> BackendDraft {
    BackendDraft {
        span: fields.span(),
        address: fields.text(&backend::ADDRESS, values::address, problems),
        port: fields
            .integer_if_given(&backend::PORT_, problems)
            .and_then(|given| given.map(|f| f.value).or(service_port)),
        weight: fields.integer(&backend::WEIGHT, problems).map(|f| f.value),
        state: fields.word(&backend::STATE, problems).map(|f| f.value),
    }
}

fn read_probe(
    fields: &Fields<'_, '_>,
    protocol: Option<Protocol>,
    problems: &mut Problems<'_>,
) -> Option<Probe> {
    let mut millis = |key| fields.integer(key, problems).map(|f| Duration::from_millis(f.value));
    let (interval, timeout) = (millis(&probe::INTERVAL_MS), millis(&probe::TIMEOUT_MS));
    let mut count = |key| fields.integer::<u32>(key, problems).map(|f| f.value);
    let (rise, fall) = (count(&probe::RISE), count(&probe::FALL));
    let port = fields.integer_if_given(&probe::PORT_, problems).map(|given| given.map(|f| f.value));
    if protocol == Some(Protocol::Udp) && fields.given(&probe::PORT_).is_none() {
        let message = "the probe of a `udp` service needs a port: probes use TCP";
        let cure = "add `port = ` and a TCP port of the backends, or remove the probe";
        problems.push(fields.span(), Fault::new(message, cure));
    }
    let path = fields.text(&probe::PATH, values::path, problems).map(|f| f.value);
    let host = fields
        .text_if_given(&probe::HOST, values::host, problems)
        .map(|given| given.map(|f| f.value));
    let expect = fields.text(&probe::EXPECT, values::statuses, problems).map(|f| f.value);
    let word = fields.word::<ProbeWord>(&probe::KIND, problems)?.value;
    let kind = match word {
        ProbeWord::Http => ProbeKind::Http { path: path?, host: host?, expect: expect? },
        ProbeWord::Tcp => {
            for key in [&probe::PATH, &probe::HOST, &probe::EXPECT] {
                if let Some(span) = fields.given(key) {
                    problems.push(
                        span,
                        Fault::new(
                            format!("a `tcp` probe does not use `{}`", key.name),
                            "remove the line, or write `kind = \"http\"`",
                        ),
                    );
                }
            }
            ProbeKind::Tcp
        }
    };
    Some(Probe {
        kind,
        interval: interval?,
        timeout: timeout?,
        rise: rise?,
        fall: fall?,
        port: port?,
    })
}

/// What must hold between services, and within each.
fn check_services(drafts: &[ServiceDraft], problems: &mut Problems<'_>) {
    let mut names = Unique::default();
    let mut endpoints = Unique::default();
    for draft in drafts {
        if let Some(name) = &draft.name
            && let Some(first) = names.insert(name.value.clone(), &name.span)
        {
            let message = format!("there is already a service `{}`", name.value);
            let fault = Fault::new(message, "give each service a name of its own");
            problems.push_related(name.span.clone(), fault, (first, "the first one"));
        }
        if let (Some(protocol), Some(endpoint)) = (draft.protocol, draft.endpoint())
            && let Some(address) = &draft.address
            && let Some(first) = endpoints.insert((protocol, endpoint), &address.span)
        {
            let message = format!("another service has {protocol} {endpoint} already");
            let cure = "change the address, the port or the protocol of one of them";
            let fault = Fault::new(message, cure);
            problems.push_related(address.span.clone(), fault, (first, "the first one"));
        }
        check_backends(draft, problems);
    }
}

fn check_backends(draft: &ServiceDraft, problems: &mut Problems<'_>) {
    let mut endpoints = Unique::default();
    for backend in &draft.backends {
        let (Some(endpoint), Some(address)) = (backend.endpoint(), &backend.address) else {
            continue;
        };
        if draft.endpoint() == Some(endpoint)
            && let Some(own) = &draft.address
        {
            let message = format!("the backend {endpoint} is the service itself");
            let fault = Fault::new(message, "write the address of the server behind the service");
            let related = (own.span.clone(), "the service");
            problems.push_related(address.span.clone(), fault, related);
        }
        if let Some(first) = endpoints.insert(endpoint, &address.span) {
            let message = format!("the service has the backend {endpoint} already");
            let cure = "remove one of them, or change its address or port; use `weight` for a \
                        larger share";
            let fault = Fault::new(message, cure);
            problems.push_related(address.span.clone(), fault, (first, "the first one"));
        }
    }
}

fn check_limits(drafts: &[ServiceDraft], limits: &Limits, problems: &mut Problems<'_>) {
    let fault = |key: &Key, found: usize, limit: u32| {
        let what = key.name;
        let message = format!("the file has {found} {what}, and the limit is {limit}");
        let enough = found.next_power_of_two() as u64;
        let cure = match key.kind {
            Kind::Integer { max, .. } if enough > max => {
                format!("more than {max} {what} need another balancer")
            }
            _ => format!("write `{what} = {enough}` or more in [limits]"),
        };
        Fault::new(message, cure)
    };
    if let Some(first_beyond) = drafts.get(limits.services as usize) {
        let fault = fault(&limits::SERVICES, drafts.len(), limits.services);
        problems.push(first_beyond.span.clone(), fault);
    }
    let backends: Vec<&BackendDraft> = drafts.iter().flat_map(|draft| &draft.backends).collect();
    if let Some(first_beyond) = backends.get(limits.backends as usize) {
        let fault = fault(&limits::BACKENDS, backends.len(), limits.backends);
        problems.push(first_beyond.span.clone(), fault);
    }
}

/// Remembers where each value came first.
struct Unique<K>(HashMap<K, Range<usize>>);

impl<K> Default for Unique<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Unique<K> {
    /// The place of the first one, if the value was there already.
    fn insert(&mut self, key: K, span: &Range<usize>) -> Option<Range<usize>> {
        if let Some(first) = self.0.get(&key) {
            return Some(first.clone());
        }
        self.0.insert(key, span.clone());
        None
    }
}
