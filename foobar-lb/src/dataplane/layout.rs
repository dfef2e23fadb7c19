//! What every map must look like, and where things are pinned.

use std::path::{Path, PathBuf};

use aya::maps::{MapInfo, MapType};
use foobar_lb_common::{
    Reason,
    limits::{LAYOUT_VERSION, MAX_INTERFACES},
    map::{Backend, Flow, FlowKey, Service, ServiceKey, Traffic},
};

use super::DataplaneError;
use crate::model::Limits;

/// The folder of all pins, below which there is one folder a layout version.
pub const PIN_ROOT: &str = "/sys/fs/bpf/foobar-lb";

/// The array can be mapped into memory (linux/bpf.h).
const BPF_F_MMAPABLE: u32 = 1 << 10;

/// One map: its name and shape.
pub(super) struct MapLayout {
    pub(super) name: &'static str,
    kind: MapType,
    key_size: usize,
    value_size: usize,
    pub(super) entries: u32,
    flags: u32,
    /// Whether the size comes from the configuration.
    pub(super) sized: bool,
}

/// Every map of the packet path that outlives a controller.
pub(super) fn maps(limits: &Limits) -> Vec<MapLayout> {
    let map = |name, kind, key_size, value_size, entries| MapLayout {
        name,
        kind,
        key_size,
        value_size,
        entries,
        flags: 0,
        sized: true,
    };
    let services = limits.services;
    vec![
        map("services", MapType::Hash, size_of::<ServiceKey>(), size_of::<Service>(), services),
        MapLayout { flags: BPF_F_MMAPABLE, ..map("slots", MapType::Array, 4, 4, limits.slots) },
        map("backends", MapType::Array, 4, size_of::<Backend>(), limits.backends),
        MapLayout { sized: false, ..map("devices", MapType::DevMapHash, 4, 8, MAX_INTERFACES) },
        map("flows", MapType::LruHash, size_of::<FlowKey>(), size_of::<Flow>(), limits.flows * 2),
        map(
            "new_flows",
            MapType::LruHash,
            size_of::<FlowKey>(),
            size_of::<Flow>(),
            limits.new_flows * 2,
        ),
        map("cursors", MapType::PerCpuArray, 4, 4, services),
        MapLayout {
            sized: false,
            ..map("reasons", MapType::PerCpuArray, 4, 8, Reason::COUNT as u32)
        },
        map("service_stats", MapType::PerCpuArray, 4, size_of::<Traffic>(), services),
        map("backend_stats", MapType::PerCpuArray, 4, size_of::<Traffic>(), limits.backends),
    ]
}

impl MapLayout {
    /// Compares a pinned map, if there is one. The kernel would hand out a map of any shape, and
    /// reading one of another shape would be reading past its end.
    pub(super) fn check_pin(&self, path: &Path) -> Result<(), DataplaneError> {
        if !path.exists() {
            return Ok(());
        }
        let name = self.name;
        let info =
            MapInfo::from_pin(path).map_err(|source| DataplaneError::Map { map: name, source })?;
        let kind = info.map_type().map_err(|source| DataplaneError::Map { map: name, source })?;
        if kind != self.kind {
            return Err(DataplaneError::OtherMap {
                path: path.to_owned(),
                what: "the type",
                found: format!("{kind:?}"),
                wanted: format!("{:?}", self.kind),
            });
        }
        let figures = [
            ("keys of bytes:", info.key_size(), self.key_size as u32),
            ("values of bytes:", info.value_size(), self.value_size as u32),
            ("a number of entries:", info.max_entries(), self.entries),
            ("flags", info.map_flags(), self.flags),
        ];
        for (what, found, wanted) in figures {
            if found != wanted {
                return Err(DataplaneError::OtherMap {
                    path: path.to_owned(),
                    what,
                    found: found.to_string(),
                    wanted: wanted.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// The folder for this layout's pins.
pub(super) fn version_folder(root: &Path) -> PathBuf {
    root.join(format!("v{LAYOUT_VERSION}"))
}
