//! What a case starts from: services with their backends, and the state of the machine.

use std::collections::BTreeSet;

use foobar_lb::model::{
    AdminState, Backend, BackendId, Endpoint, ForwardMode, Protocol, Scheduler, Service,
};

use crate::ground::{At, Side, WEB};

/// A service as it is configured, and which of its backends are healthy.
#[derive(Clone, Debug)]
pub struct Spec {
    service: Service,
    down: BTreeSet<BackendId>,
}

/// The TCP service at [`WEB`].
pub fn web(backends: &[At]) -> Spec {
    service(Protocol::Tcp, WEB, backends)
}

/// The UDP service at [`WEB`].
pub fn web_udp(backends: &[At]) -> Spec {
    service(Protocol::Udp, WEB, backends)
}

/// A service with round-robin and nat, whose backends are all ready and healthy.
pub fn service(protocol: Protocol, at: At, backends: &[At]) -> Spec {
    let backends = backends
        .iter()
        .map(|&backend| Backend {
            endpoint: endpoint(backend),
            weight: 1,
            state: AdminState::Ready,
        })
        .collect();
    let service = Service {
        name: format!("{protocol}-{}", endpoint(at)),
        protocol,
        endpoint: endpoint(at),
        scheduler: Scheduler::RoundRobin,
        forward: ForwardMode::Nat,
        probe: None,
        backends,
    };
    Spec { service, down: BTreeSet::new() }
}

/// An address and port as the configuration has it.
pub fn endpoint(at: At) -> Endpoint {
    Endpoint { address: at.address.into(), port: at.port }
}

impl Spec {
    /// The backend takes no new flow and keeps its old ones.
    pub fn drain(self, backend: At) -> Self {
        self.edit(backend, |b| b.state = AdminState::Drain)
    }

    /// The backend takes nothing.
    pub fn maint(self, backend: At) -> Self {
        self.edit(backend, |b| b.state = AdminState::Maint)
    }

    /// The backend's weight is 0.
    pub fn weightless(self, backend: At) -> Self {
        self.weight(backend, 0)
    }

    /// The backend has this weight.
    pub fn weight(self, backend: At, weight: u32) -> Self {
        self.edit(backend, |b| b.weight = weight)
    }

    /// The service has this scheduler.
    pub fn scheduler(mut self, scheduler: Scheduler) -> Self {
        self.service.scheduler = scheduler;
        self
    }

    /// The backend has failed its probes.
    pub fn down(mut self, backend: At) -> Self {
        let service = self.service.name.clone();
        self.down.insert(BackendId { service, endpoint: endpoint(backend) });
        self
    }

    /// The configured service.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Whether the backend passes its probes.
    pub fn is_up(&self, backend: &BackendId) -> bool {
        !self.down.contains(backend)
    }

    fn edit(mut self, backend: At, edit: impl Fn(&mut Backend)) -> Self {
        let wanted = endpoint(backend);
        self.service.backends.iter_mut().filter(|b| b.endpoint == wanted).for_each(edit);
        self
    }
}

impl From<Spec> for Vec<Spec> {
    fn from(spec: Spec) -> Self {
        vec![spec]
    }
}

/// The machine before the first packet.
#[derive(Clone, Debug)]
pub struct Machine {
    /// More lines for `ip -batch`.
    pub ip: Vec<String>,
    /// Sysctls below `/proc/sys/net/ipv4`, and their values.
    pub sysctls: Vec<(String, &'static str)>,
    /// The sides that the program is attached to.
    pub attached: Vec<Side>,
    /// Established and new flows that are remembered at the most.
    pub flows: (u32, u32),
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            ip: vec![],
            sysctls: vec![],
            attached: vec![Side::Client, Side::Backend],
            flows: (1000, 1000),
        }
    }
}
