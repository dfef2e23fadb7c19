//! Plans and differences against a plain model of the kernel's maps.

use std::{collections::BTreeMap, net::Ipv4Addr};

use foobar_lb_common::map::BackendState;
use proptest::prelude::*;

use super::*;
use crate::model::{
    Backend as Wanted, Endpoint, ForwardMode, Limits, Protocol as Transport, Scheduler, Service,
};

fn endpoint(last: u8, port: u16) -> Endpoint {
    Endpoint { address: Ipv4Addr::new(10, 0, 0, last), port }
}

fn service(name: &str, last: u8, backends: Vec<Wanted>) -> Service {
    Service {
        name: name.to_owned(),
        protocol: Transport::Tcp,
        endpoint: Endpoint { address: Ipv4Addr::new(203, 0, 113, last), port: 80 },
        scheduler: Scheduler::RoundRobin,
        forward: ForwardMode::Nat,
        probe: None,
        backends,
    }
}

fn backend(last: u8) -> Wanted {
    Wanted { endpoint: endpoint(last, 80), weight: 1, state: AdminState::Ready }
}

fn config(services: Vec<Service>) -> Config {
    Config {
        limits: Limits { services: 16, backends: 64, ..Limits::default() },
        manage_sysctls: true,
        services,
    }
}

/// The maps as the kernel would hold them, changed one operation at a time.
#[derive(Clone, Default)]
struct Kernel {
    services: BTreeMap<ServiceKey, ServiceEntry>,
    backends: BTreeMap<u32, Backend>,
    slots: BTreeMap<u32, u32>,
}

impl Kernel {
    fn apply(&mut self, op: &Op) {
        match op {
            Op::ClearBackendStats { .. } | Op::ClearServiceStats { .. } => {}
            Op::PutBackend { id, backend } => {
                self.backends.insert(*id, *backend);
            }
            Op::PutTable { start, slots } => {
                for (i, id) in slots.iter().enumerate() {
                    self.slots.insert(start + i as u32, *id);
                }
            }
            Op::PutService { key, service } => {
                self.services.insert(*key, *service);
            }
            Op::RemoveService { key } => {
                self.services.remove(key);
            }
        }
    }

    /// What a packet may not meet: a slot without an id, an id without a backend that is up and
    /// the service's own.
    fn dangles(&self) -> Option<String> {
        for (key, service) in &self.services {
            for slot in service.table_start..service.table_start + service.table_len {
                let Some(id) = self.slots.get(&slot) else {
                    return Some(format!("{key:?}: slot {slot} is empty"));
                };
                let Some(backend) = self.backends.get(id) else {
                    return Some(format!("{key:?}: slot {slot} names no backend"));
                };
                if backend.service != service.id || backend.state != BackendState::Up as u8 {
                    return Some(format!("{key:?}: slot {slot} names {backend:?}"));
                }
            }
        }
        None
    }

    /// What packets see: each service's backends in slot order.
    fn view(&self) -> BTreeMap<ServiceKey, Vec<(Ipv4Addr, u16)>> {
        self.services
            .iter()
            .map(|(key, service)| {
                let slots = service.table_start..service.table_start + service.table_len;
                let backends = slots.map(|slot| {
                    let backend = self.backends[&self.slots[&slot]];
                    (backend.address.into(), backend.port.to_host())
                });
                (*key, backends.collect())
            })
            .collect()
    }
}

#[test]
fn first_plan() {
    let config = config(vec![service("web", 10, vec![backend(11), backend(12)])]);
    let image = plan(&config, |_| true, &Image::default()).unwrap();
    assert_eq!(image.faults(), Vec::<String>::new());
    assert_eq!(image.tables[&0], [0, 1]);
    assert_eq!(image.backends[&0].generation, 1);
    assert_eq!(diff(&image, &image), []);
}

#[test]
fn a_backend_that_fails_leaves_the_table_before_it_is_marked() {
    let config = config(vec![service("web", 10, vec![backend(11), backend(12)])]);
    let now = plan(&config, |_| true, &Image::default()).unwrap();
    let next = plan(&config, |id| id.endpoint != endpoint(11, 80), &now).unwrap();
    let ops = diff(&now, &next);
    let kinds: Vec<_> = ops
        .iter()
        .map(|op| match op {
            Op::PutTable { start, slots } => format!("table {start} {slots:?}"),
            Op::PutService { .. } => "service".to_owned(),
            Op::PutBackend { id, backend } => format!("backend {id} state {}", backend.state),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["table 2 [1]", "service", "backend 0 state 3"]);
}

#[test]
fn what_stays_keeps_its_number_and_what_is_new_gets_a_new_generation() {
    let both = config(vec![service("web", 10, vec![backend(11), backend(12)])]);
    let now = plan(&both, |_| true, &Image::default()).unwrap();
    let one = config(vec![service("web", 10, vec![backend(12)])]);
    let now = plan(&one, |_| true, &now).unwrap();
    assert_eq!(now.backends[&0].state, BackendState::Free as u8);
    assert_eq!(now.backends[&1].address, Ipv4Addr::new(10, 0, 0, 12).into());
    let other = config(vec![service("web", 10, vec![backend(13), backend(12)])]);
    let now = plan(&other, |_| true, &now).unwrap();
    assert_eq!(now.backends[&0].address, Ipv4Addr::new(10, 0, 0, 13).into());
    assert_eq!(now.backends[&0].generation, 2);
    assert_eq!(now.backends[&1].generation, 1);
}

#[test]
fn states() {
    let states = [AdminState::Ready, AdminState::Drain, AdminState::Maint];
    for (state, up, weight, expected) in states.into_iter().flat_map(|state| {
        [(true, 0), (true, 5), (false, 0), (false, 5)].map(|(up, weight)| {
            let expected = if state == AdminState::Maint || !up {
                BackendState::Down
            } else if state == AdminState::Drain || weight == 0 {
                BackendState::Drain
            } else {
                BackendState::Up
            };
            (state, up, weight, expected)
        })
    }) {
        let backend = Wanted { weight, state, ..backend(11) };
        assert_eq!(backend_state(&backend, up), expected, "{state} {up} {weight}");
    }
}

#[test]
fn too_small() {
    let mut config = config(vec![service("web", 10, vec![backend(11), backend(12)])]);
    config.limits.backends = 1;
    assert_eq!(
        plan(&config, |_| true, &Image::default()),
        Err(PlanError::TooManyBackends { wanted: 2, limit: 1 })
    );
}

prop_compose! {
    fn any_config()(shape in proptest::collection::vec(
        (1u8..8, proptest::collection::btree_map(1u8..10, (0u32..3, 0u8..3), 0..7)), 0..5,
    )) -> Config {
        let mut services = BTreeMap::new();
        for (last, backends) in shape {
            let backends = backends.into_iter().map(|(address, (weight, state))| Wanted {
                endpoint: endpoint(address, 80),
                weight,
                state: [AdminState::Ready, AdminState::Drain, AdminState::Maint][state as usize],
            }).collect();
            services.insert(last, service(&format!("s{last}"), last, backends));
        }
        config(services.into_values().collect())
    }
}

proptest! {
    /// Whatever the way there, the maps show packets the same as after a cold start; nothing
    /// dangles after any single operation; and the kernel's maps are the image.
    #[test]
    fn any_way_leads_to_the_same_maps(
        steps in proptest::collection::vec((any_config(), any::<u16>()), 1..8),
    ) {
        let mut now = Image::default();
        let mut kernel = Kernel::default();
        for (config, health) in steps {
            let up = |id: &BackendId| health >> (id.endpoint.address.octets()[3]) & 1 == 1;
            let next = plan(&config, up, &now).unwrap();
            prop_assert_eq!(next.faults(), Vec::<String>::new());
            for op in diff(&now, &next) {
                kernel.apply(&op);
                prop_assert_eq!(kernel.dangles(), None, "after {:?}", op);
            }
            let mut cold = Kernel::default();
            for op in diff(&Image::default(), &plan(&config, up, &Image::default()).unwrap()) {
                cold.apply(&op);
            }
            prop_assert_eq!(kernel.view(), cold.view());
            for (id, backend) in &next.backends {
                prop_assert_eq!(kernel.backends.get(id).copied().unwrap_or_default(), *backend);
            }
            prop_assert_eq!(&kernel.services, &next.services);
            now = next;
        }
    }

    /// A backend that stays keeps its number and generation, whatever else changes.
    #[test]
    fn numbers_are_stable(before in any_config(), after in any_config(), health in any::<u16>()) {
        let up = |id: &BackendId| health >> (id.endpoint.address.octets()[3]) & 1 == 1;
        let now = plan(&before, up, &Image::default()).unwrap();
        let next = plan(&after, |id| !up(id), &now).unwrap();
        for old in &before.services {
            let key = service_key(old.protocol, old.endpoint);
            let Some(new) = after.services.iter().find(|s| s.endpoint == old.endpoint) else { continue };
            prop_assert_eq!(now.services[&key].id, next.services[&key].id);
            for backend in &old.backends {
                if new.backends.iter().any(|b| b.endpoint == backend.endpoint) {
                    let id = now.services[&key].id;
                    let (was, is) = (
                        now.index().backend(id, backend.endpoint).unwrap(),
                        next.index().backend(id, backend.endpoint).unwrap(),
                    );
                    prop_assert_eq!(was, is);
                    prop_assert_eq!(now.backends[&was].generation, next.backends[&is].generation);
                }
            }
        }
    }
}
