//! The laboratory of one case: a network namespace of the thread's own, two interfaces, and the
//! real program, loaded and attached. Nothing has a name outside, nothing is pinned: with the
//! thread all of it is gone.

use std::{collections::HashMap, net::Ipv4Addr, thread};

use anyhow::{Context as _, Result, anyhow, ensure};
use foobar_lb::{
    dataplane::{Action, Dataplane, FlowEntry, LoadOptions},
    model::{Config, Limits, Protocol},
    plan,
};
use foobar_lb_common::{
    Reason,
    map::{Flow, FlowKey, Traffic},
    net::{Ip4, Port, Protocol as WireProtocol},
};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::{Pid, Uid},
};

use crate::{
    given::{Machine, Spec, endpoint},
    ground::{At, Side},
    network,
    packet::Packet,
};

const SERVICES: u32 = 4;
const BACKENDS: u32 = 16;
/// Two maglev tables, old and new.
const SLOTS: u32 = 300_000;

/// The loaded program between its two interfaces.
pub struct Lab {
    /// The packet path.
    pub dataplane: Dataplane,
    limits: Limits,
    client_side: u32,
    backend_side: u32,
}

/// What one packet did.
#[derive(Debug)]
pub struct Ran {
    /// The frame that was put in.
    pub input: Vec<u8>,
    /// What the program told the kernel to do with it.
    pub action: Action,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// Every reason whose counter rose, and by how much.
    pub reasons: Vec<(Reason, u64)>,
    /// What was added to the traffic of all services.
    pub service_traffic: Traffic,
    /// What was added to the traffic of all backends.
    pub backend_traffic: Traffic,
}

/// Fails, with the cure, where namespaces and XDP programs cannot be had.
pub fn check_privilege() -> Result<()> {
    ensure!(
        Uid::effective().is_root(),
        "the packet tables load the real program: run this as root"
    );
    Ok(())
}

/// Runs `body` on a thread of its own, which is in no namespace of anyone else.
pub fn on_a_thread<T: Send>(body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    check_privilege()?;
    thread::scope(|scope| {
        scope.spawn(body).join().map_err(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()));
            anyhow!("panicked: {}", said.unwrap_or_default())
        })?
    })
}

impl Lab {
    /// Builds the lab around the calling thread. Everything per CPU is exact, since the thread
    /// stays on the CPU that it is on.
    pub fn new(machine: &Machine) -> Result<Self> {
        stay_on_this_cpu()?;
        let [client_side, backend_side] = network::build(machine)?;
        let (flows, new_flows) = machine.flows;
        let limits =
            Limits { services: SERVICES, backends: BACKENDS, slots: SLOTS, flows, new_flows };
        let dataplane = Dataplane::load(&LoadOptions { limits, ..LoadOptions::default() })?;
        let mut lab = Self { dataplane, limits, client_side, backend_side };
        for &side in &machine.attached {
            lab.dataplane.attach(lab.index(side), side.interface(), None)?;
        }
        Ok(lab)
    }

    fn index(&self, side: Side) -> u32 {
        match side {
            Side::Client => self.client_side,
            Side::Backend => self.backend_side,
        }
    }

    /// Plans and applies a configuration, as the controller does.
    pub fn configure(&mut self, specs: &[Spec]) -> Result<()> {
        let config = Config {
            limits: self.limits,
            manage_sysctls: false,
            services: specs.iter().map(|spec| spec.service().clone()).collect(),
        };
        let now = self.dataplane.image()?;
        let next = plan::plan(&config, |id| specs.iter().all(|spec| spec.is_up(id)), &now)?;
        self.dataplane.apply(&plan::diff(&now, &next))?;
        ensure!(self.dataplane.image()? == next, "the maps are not as planned");
        Ok(())
    }

    /// Runs a packet that arrives at `side` through the program.
    pub fn run(&mut self, side: Side, packet: &Packet) -> Result<Ran> {
        let input = packet.arriving(side);
        let (reasons, services, backends) = self.counters()?;
        let ran = self.dataplane.test_run(&input, self.index(side))?;
        let (reasons_after, services_after, backends_after) = self.counters()?;
        let rises = reasons.into_iter().zip(reasons_after);
        Ok(Ran {
            input,
            action: ran.action,
            frame: ran.frame,
            reasons: rises
                .filter(|((_, before), (_, after))| before != after)
                .map(|((reason, before), (_, after))| (reason, after.wrapping_sub(before)))
                .collect(),
            service_traffic: rise(services, services_after),
            backend_traffic: rise(backends, backends_after),
        })
    }

    /// As [`Lab::run`], without looking at the counters: for floods.
    pub fn run_fast(&mut self, side: Side, frame: &[u8]) -> Result<Action> {
        Ok(self.dataplane.test_run(frame, self.index(side))?.action)
    }

    /// Packets that ended for this reason so far.
    pub fn count(&self, reason: Reason) -> Result<u64> {
        let counts = self.dataplane.reasons()?;
        Ok(counts.iter().find(|count| count.reason == reason).map_or(0, |count| count.packets))
    }

    #[expect(clippy::type_complexity, reason = "taken apart at once by its only caller")]
    fn counters(&self) -> Result<(Vec<(Reason, u64)>, Traffic, Traffic)> {
        let reasons = self.dataplane.reasons()?;
        let mut services = Traffic::default();
        for id in 0..SERVICES {
            services += self.dataplane.service_traffic(id)?;
        }
        let mut backends = Traffic::default();
        for id in 0..BACKENDS {
            backends += self.dataplane.backend_traffic(id)?;
        }
        Ok((
            reasons.iter().map(|count| (count.reason, count.packets)).collect(),
            services,
            backends,
        ))
    }

    /// The traffic of the service at this address.
    pub fn service_traffic(&self, protocol: Protocol, at: At) -> Result<Traffic> {
        Ok(self.dataplane.service_traffic(self.service_id(protocol, at)?)?)
    }

    /// The traffic of one of its backends.
    pub fn backend_traffic(&self, protocol: Protocol, at: At, backend: At) -> Result<Traffic> {
        Ok(self.dataplane.backend_traffic(self.backend_id(protocol, at, backend)?)?)
    }

    /// The service's id.
    pub fn service_id(&self, protocol: Protocol, at: At) -> Result<u32> {
        let key = plan::service_key(protocol, endpoint(at));
        let image = self.dataplane.image()?;
        Ok(image.services.get(&key).context("no such service")?.id)
    }

    /// The id of one of its backends.
    pub fn backend_id(&self, protocol: Protocol, at: At, backend: At) -> Result<u32> {
        let service = self.service_id(protocol, at)?;
        let index = self.dataplane.image()?.index();
        index.backend(service, endpoint(backend)).context("no such backend")
    }

    /// The backends of all flows that are not established yet, by the client's key.
    pub fn backends_of_new_flows(&self) -> Result<HashMap<FlowKey, Ipv4Addr>> {
        let flows = self.dataplane.flows()?;
        let to_backends = flows.iter().filter(|e| !e.established && e.flow.is_to_backend());
        Ok(to_backends.map(|entry| (entry.key, entry.flow.far.into())).collect())
    }

    /// The entry of one of the flow tables for packets from `from` to `to`.
    pub fn flow(
        &self,
        protocol: Protocol,
        from: At,
        to: At,
        established: bool,
    ) -> Result<Option<Flow>> {
        let key = flow_key(protocol, from, to);
        let flows = self.dataplane.flows()?;
        let of_the_key = |entry: &&FlowEntry| entry.key == key && entry.established == established;
        Ok(flows.iter().find(of_the_key).map(|entry| entry.flow))
    }
}

/// The key of the packets from `from` to `to`.
pub fn flow_key(protocol: Protocol, from: At, to: At) -> FlowKey {
    FlowKey {
        source: Ip4(from.address),
        destination: Ip4(to.address),
        source_port: Port::new(from.port),
        destination_port: Port::new(to.port),
        protocol: WireProtocol(protocol.number()),
        zero: [0; 3],
    }
}

fn rise(before: Traffic, after: Traffic) -> Traffic {
    let Traffic { new_flows, refused, packets_in, bytes_in, packets_out, bytes_out } = after;
    Traffic {
        new_flows: new_flows.wrapping_sub(before.new_flows),
        refused: refused.wrapping_sub(before.refused),
        packets_in: packets_in.wrapping_sub(before.packets_in),
        bytes_in: bytes_in.wrapping_sub(before.bytes_in),
        packets_out: packets_out.wrapping_sub(before.packets_out),
        bytes_out: bytes_out.wrapping_sub(before.bytes_out),
    }
}

fn stay_on_this_cpu() -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).context("cannot stay on one CPU")
}
