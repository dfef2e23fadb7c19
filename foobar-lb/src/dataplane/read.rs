//! Reads what the maps hold: the image, the counters, the flows, the program's own figures.

use std::net::Ipv4Addr;

use foobar_lb_common::{
    Reason,
    map::{Backend, Flow, FlowKey, Traffic},
};

use super::{Dataplane, DataplaneError, maps::named};
use crate::plan::Image;

/// A reason's counter, over all CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonCount {
    /// The reason.
    pub reason: Reason,
    /// Packets since the maps were made.
    pub packets: u64,
}

/// One entry of a flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEntry {
    /// The tuple as packets carry it.
    pub key: FlowKey,
    /// What is known of it.
    pub flow: Flow,
    /// Whether it is established.
    pub established: bool,
}

/// The size of the loaded program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFigures {
    /// Instructions that the verifier walked through; the kernel allows a million.
    pub verified_instructions: u32,
    /// Bytes of the translated program.
    pub translated_bytes: u32,
    /// Bytes of machine code.
    pub machine_bytes: u32,
}

impl Dataplane {
    /// What the maps that configuration fills hold now.
    ///
    /// # Errors
    ///
    /// A map that cannot be read.
    pub fn image(&self) -> Result<Image, DataplaneError> {
        let mut image = Image::default();
        for entry in self.maps.services.iter() {
            let (key, service) = entry.map_err(named("services"))?;
            image.services.insert(key.0, service.0);
        }
        for (id, backend) in (0..).zip(self.maps.backends.iter()) {
            let backend = backend.map_err(named("backends"))?.0;
            if backend != Backend::default() {
                image.backends.insert(id, backend);
            }
        }
        for service in image.services.values() {
            if service.table_len > 0 {
                let table = self.maps.slots.read(service.table_start, service.table_len);
                image.tables.insert(service.table_start, table);
            }
        }
        Ok(image)
    }

    /// Packets by reason, in the order of [`Reason::ALL`].
    ///
    /// # Errors
    ///
    /// A map that cannot be read.
    pub fn reasons(&self) -> Result<Vec<ReasonCount>, DataplaneError> {
        Reason::ALL
            .iter()
            .map(|&reason| {
                let counts = self.maps.reasons.get(&reason.index(), 0).map_err(named("reasons"))?;
                Ok(ReasonCount { reason, packets: counts.iter().sum() })
            })
            .collect()
    }

    /// The traffic of the service with this id, over all CPUs.
    ///
    /// # Errors
    ///
    /// A map that cannot be read.
    pub fn service_traffic(&self, id: u32) -> Result<Traffic, DataplaneError> {
        let counts = self.maps.service_stats.get(&id, 0).map_err(named("service_stats"))?;
        Ok(sum(counts.iter().map(|raw| raw.0)))
    }

    /// The traffic of the backend with this id, over all CPUs.
    ///
    /// # Errors
    ///
    /// A map that cannot be read.
    pub fn backend_traffic(&self, id: u32) -> Result<Traffic, DataplaneError> {
        let counts = self.maps.backend_stats.get(&id, 0).map_err(named("backend_stats"))?;
        Ok(sum(counts.iter().map(|raw| raw.0)))
    }

    /// Every entry of both flow tables. Entries that come or go meanwhile may be missed.
    ///
    /// # Errors
    ///
    /// A map that cannot be read.
    pub fn flows(&self) -> Result<Vec<FlowEntry>, DataplaneError> {
        let mut entries = Vec::new();
        for (map, established) in [(&self.maps.flows, true), (&self.maps.new_flows, false)] {
            for entry in map.iter() {
                let (key, flow) = entry.map_err(named("flows"))?;
                entries.push(FlowEntry { key: key.0, flow: flow.0, established });
            }
        }
        Ok(entries)
    }

    /// The size of the loaded program.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub fn figures(&mut self) -> Result<ProgramFigures, DataplaneError> {
        let info = self.program()?.info()?;
        Ok(ProgramFigures {
            verified_instructions: info.verified_instruction_count().unwrap_or(0),
            translated_bytes: info.size_translated().unwrap_or(0),
            machine_bytes: info.size_jitted(),
        })
    }
}

fn sum(counts: impl Iterator<Item = Traffic>) -> Traffic {
    counts.fold(Traffic::default(), |mut total, one| {
        total += one;
        total
    })
}

/// The client's side of an entry: its address and port.
impl FlowEntry {
    /// Who the client is: address and port, in host byte order.
    pub fn client(&self) -> (Ipv4Addr, u16) {
        if self.flow.is_to_backend() {
            (self.key.source.into(), self.key.source_port.to_host())
        } else {
            (self.key.destination.into(), self.key.destination_port.to_host())
        }
    }
}
