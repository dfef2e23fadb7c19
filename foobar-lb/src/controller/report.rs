//! What the controller tells: status and statistics. Every number comes from the maps or the
//! probes.

use std::time::Duration;

use crate::{
    api::types::{
        BackendStats, BackendStatus, CheckStatus, ConfigStatus, InterfaceStatus, LinkState,
        ReasonStats, ServiceStats, ServiceStatus, Stats, Status, Unreachable,
    },
    health::{Health, TargetStatus},
    model::{AdminState, Backend, BackendId, Service},
    plan,
};

use super::{ChangeError, Controller, events::unix_ms, interfaces::Interface, is_up};

impl Controller {
    pub(super) fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: millis(self.started.elapsed()),
            adopted: self.dataplane.is_adopted(),
            config: ConfigStatus {
                path: self.file.path.display().to_string(),
                exists: self.file.text.is_some(),
                revision: self.file.revision,
                error: self.file.error.clone(),
            },
            fault: self.faults(),
            interfaces: self.interfaces.iter().map(interface).collect(),
            services: self.config.services.iter().map(|s| self.service_status(s)).collect(),
            unreachable: self.unreachable(),
            events: self.log.recent(),
        }
    }

    /// Everything that the kernel refuses now, a line each.
    fn faults(&self) -> Option<String> {
        let interfaces = self.interfaces.iter().filter_map(|i| i.fault.as_deref());
        let faults: Vec<&str> = self.fault.as_deref().into_iter().chain(interfaces).collect();
        (!faults.is_empty()).then(|| faults.join("\n"))
    }

    fn service_status(&self, service: &Service) -> ServiceStatus {
        let key = plan::service_key(service.protocol, service.endpoint);
        let up = self.image.services.get(&key).is_some_and(|entry| entry.table_len > 0);
        ServiceStatus {
            name: service.name.clone(),
            protocol: service.protocol,
            address: service.endpoint.address,
            port: service.endpoint.port,
            scheduler: service.scheduler,
            forward: service.forward,
            state: if up { Health::Up } else { Health::Down },
            backends: service.backends.iter().map(|b| self.backend_status(service, b)).collect(),
        }
    }

    fn backend_status(&self, service: &Service, backend: &Backend) -> BackendStatus {
        let id = BackendId { service: service.name.clone(), endpoint: backend.endpoint };
        let up = is_up(&self.config, &self.monitor, &id);
        let probe = self.monitor.status(&id);
        let takes_new = up && backend.state == AdminState::Ready;
        BackendStatus {
            address: backend.endpoint.address,
            port: backend.endpoint.port,
            weight: backend.weight,
            state: backend.state,
            health: match &probe {
                Some(status) => status.health,
                None if service.probe.is_none() => Health::Up,
                None => Health::Unknown,
            },
            effective_weight: if takes_new { backend.weight } else { 0 },
            check: probe.map(check),
        }
    }

    fn unreachable(&self) -> Vec<Unreachable> {
        let status = self.next_hops.status();
        let unresolved = status.next_hops.iter().filter(|hop| !hop.state.is_valid()).map(|hop| {
            let why = match &hop.error {
                Some(error) => format!("the next hop cannot be resolved: {error}"),
                None => "the next hop does not answer ARP".to_owned(),
            };
            Unreachable { address: hop.address, why }
        });
        let unroutable = status
            .unroutable
            .iter()
            .map(|backend| Unreachable { address: backend.backend, why: backend.why.clone() });
        unroutable.chain(unresolved).collect()
    }

    pub(super) fn stats(&self) -> Result<Stats, ChangeError> {
        let failed =
            |error: crate::dataplane::DataplaneError| ChangeError::Failed(error.to_string());
        let index = self.image.index();
        let mut services = Vec::new();
        for service in &self.config.services {
            let key = plan::service_key(service.protocol, service.endpoint);
            let Some(entry) = self.image.services.get(&key) else { continue };
            let mut backends = Vec::new();
            for backend in &service.backends {
                let Some(id) = index.backend(entry.id, backend.endpoint) else { continue };
                backends.push(BackendStats {
                    address: backend.endpoint.address,
                    port: backend.endpoint.port,
                    traffic: self.dataplane.backend_traffic(id).map_err(failed)?.into(),
                });
            }
            services.push(ServiceStats {
                name: service.name.clone(),
                traffic: self.dataplane.service_traffic(entry.id).map_err(failed)?.into(),
                backends,
            });
        }
        let reasons = self.dataplane.reasons().map_err(failed)?;
        let reasons = reasons
            .into_iter()
            .map(|count| ReasonStats {
                name: count.reason.name().to_owned(),
                verdict: count.reason.verdict().name().to_owned(),
                help: count.reason.help().trim().to_owned(),
                packets: count.packets,
            })
            .collect();
        Ok(Stats { services, reasons })
    }
}

fn interface(interface: &Interface) -> InterfaceStatus {
    let Interface { name, link, attachment, fault: _ } = interface;
    InterfaceStatus {
        name: name.clone(),
        ifindex: link.as_ref().map_or(0, |link| link.ifindex),
        xdp_mode: attachment.as_ref().map(|attachment| attachment.mode),
        state: match link {
            None => LinkState::Missing,
            Some(link) if link.up => LinkState::Up,
            Some(_) => LinkState::Down,
        },
    }
}

fn check(status: TargetStatus) -> CheckStatus {
    let TargetStatus { result, checked_at, probing, .. } = status;
    CheckStatus {
        result: result.code,
        detail: result.detail,
        duration_us: u64::try_from(result.duration.as_micros()).unwrap_or(u64::MAX),
        unix_ms: checked_at.map(unix_ms),
        probing,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
