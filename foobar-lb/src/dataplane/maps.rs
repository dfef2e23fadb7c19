//! The maps by name and type, and the operations of a plan on them.

use aya::{
    Ebpf,
    maps::{Array, DevMapHash, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues},
    util::nr_cpus,
};
use foobar_lb_common::map::{Backend, Flow, FlowKey, Service, ServiceKey, Traffic};

use super::{Dataplane, DataplaneError, pod::Raw, slots::Slots};
use crate::plan::Op;

/// The maps that the controller writes or reads.
pub(super) struct Maps {
    pub(super) services: HashMap<MapData, Raw<ServiceKey>, Raw<Service>>,
    pub(super) slots: Slots,
    pub(super) backends: Array<MapData, Raw<Backend>>,
    pub(super) devices: DevMapHash<MapData>,
    pub(super) flows: HashMap<MapData, Raw<FlowKey>, Raw<Flow>>,
    pub(super) new_flows: HashMap<MapData, Raw<FlowKey>, Raw<Flow>>,
    pub(super) reasons: PerCpuArray<MapData, u64>,
    pub(super) service_stats: PerCpuArray<MapData, Raw<Traffic>>,
    pub(super) backend_stats: PerCpuArray<MapData, Raw<Traffic>>,
    pub(super) cpus: usize,
}

impl Maps {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, DataplaneError> {
        fn take<T: TryFrom<Map, Error = MapError>>(
            ebpf: &mut Ebpf,
            map: &'static str,
        ) -> Result<T, DataplaneError> {
            ebpf.take_map(map)
                .ok_or(DataplaneError::NoMap(map))?
                .try_into()
                .map_err(|source| DataplaneError::Map { map, source })
        }
        let cpus =
            nr_cpus().map_err(|(path, source)| DataplaneError::Io { path: path.into(), source })?;
        Ok(Self {
            services: take(ebpf, "services")?,
            slots: Slots::new(ebpf.take_map("slots").ok_or(DataplaneError::NoMap("slots"))?)?,
            backends: take(ebpf, "backends")?,
            devices: take(ebpf, "devices")?,
            flows: take(ebpf, "flows")?,
            new_flows: take(ebpf, "new_flows")?,
            reasons: take(ebpf, "reasons")?,
            service_stats: take(ebpf, "service_stats")?,
            backend_stats: take(ebpf, "backend_stats")?,
            cpus,
        })
    }
}

pub(super) fn named(map: &'static str) -> impl Fn(MapError) -> DataplaneError {
    move |source| DataplaneError::Map { map, source }
}

impl Dataplane {
    /// Carries out the operations of a plan, in their order.
    ///
    /// # Errors
    ///
    /// The first map that refuses. What was done before stays; packets see a consistent state at
    /// every step, and the same plan can be tried again.
    pub fn apply(&mut self, ops: &[Op]) -> Result<(), DataplaneError> {
        for op in ops {
            self.apply_one(op)?;
        }
        Ok(())
    }

    fn apply_one(&mut self, op: &Op) -> Result<(), DataplaneError> {
        let Maps { services, slots, backends, service_stats, backend_stats, cpus, .. } =
            &mut self.maps;
        let zeros = |map| {
            PerCpuValues::try_from(vec![Raw(Traffic::default()); *cpus])
                .map_err(|source| DataplaneError::Map { map, source: source.into() })
        };
        match op {
            Op::ClearBackendStats { id } => {
                backend_stats.set(*id, zeros("backend_stats")?, 0).map_err(named("backend_stats"))
            }
            Op::ClearServiceStats { id } => {
                service_stats.set(*id, zeros("service_stats")?, 0).map_err(named("service_stats"))
            }
            Op::PutBackend { id, backend } => {
                backends.set(*id, Raw(*backend), 0).map_err(named("backends"))
            }
            Op::PutTable { start, slots: table } => {
                slots.write(*start, table);
                Ok(())
            }
            Op::PutService { key, service } => {
                services.insert(Raw(*key), Raw(*service), 0).map_err(named("services"))
            }
            Op::RemoveService { key } => match services.remove(&Raw(*key)) {
                Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
                Err(source) => Err(DataplaneError::Map { map: "services", source }),
            },
        }
    }
}
