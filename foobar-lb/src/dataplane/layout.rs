//! What every map must look like, and where things are pinned.

use std::path::{Path, PathBuf};

use aya::maps::{
    MapInfo, MapType,
    MapType::{Array, DevMapHash, Hash, LruHash, PerCpuArray},
};
use foobar_lb_common::{
    Reason,
    limits::{LAYOUT_VERSION, MAX_INTERFACES},
    map::{Backend, Flow, FlowKey, Service, ServiceKey, Traffic},
};

use super::DataplaneError;
use crate::model::Limits;

/// The folder of all pins, below which there is one folder a layout version.
pub const PIN_ROOT: &str = "/sys/fs/bpf/foobar-lb";

/// The array can be mapped into memory; `include/uapi/linux/bpf.h`.
const BPF_F_MMAPABLE: u32 = 1 << 10;
/// A map that programs may not write; `include/uapi/linux/bpf.h`.
const BPF_F_RDONLY_PROG: u32 = 1 << 7;

/// One map: its name and shape.
pub(super) struct MapLayout {
    pub(super) name: &'static str,
    kind: MapType,
    key_size: usize,
    value_size: usize,
    pub(super) entries: u32,
    /// The key below `[limits]` that the size comes from; `None`: it is fixed.
    pub(super) limit: Option<&'static str>,
    flags: u32,
}

/// Every map of the packet path that outlives a controller.
pub(super) fn maps(limits: &Limits) -> Vec<MapLayout> {
    let map = |name, kind, key_size, value_size, limit, entries| MapLayout {
        name,
        kind,
        key_size,
        value_size,
        entries,
        limit,
        flags: 0,
    };
    let &Limits { services, backends, slots, flows, new_flows } = limits;
    // Two entries a flow.
    let pairs = |flows: u32| flows.saturating_mul(FLOW_ENTRIES);
    let (key, flow, traffic) = (size_of::<FlowKey>(), size_of::<Flow>(), size_of::<Traffic>());
    let by = Some;
    vec![
        map(
            "services",
            Hash,
            size_of::<ServiceKey>(),
            size_of::<Service>(),
            by("services"),
            services,
        ),
        MapLayout { flags: BPF_F_MMAPABLE, ..map("slots", Array, 4, 4, by("slots"), slots) },
        map("backends", Array, 4, size_of::<Backend>(), by("backends"), backends),
        map("devices", DevMapHash, 4, 8, None, MAX_INTERFACES),
        map("flows", LruHash, key, flow, by("flows"), pairs(flows)),
        map("new_flows", LruHash, key, flow, by("new_flows"), pairs(new_flows)),
        map("cursors", PerCpuArray, 4, 4, by("services"), services),
        map("reasons", PerCpuArray, 4, 8, None, Reason::COUNT as u32),
        map("service_stats", PerCpuArray, 4, traffic, by("services"), services),
        map("backend_stats", PerCpuArray, 4, traffic, by("backends"), backends),
    ]
}

/// Entries of the flow tables that a flow takes: one a direction.
const FLOW_ENTRIES: u32 = 2;

impl MapLayout {
    /// Flags that the kernel sets by itself: it lets no program write a device map
    /// (`dev_map_init_map` in
    /// <https://github.com/torvalds/linux/blob/v6.12/kernel/bpf/devmap.c>).
    fn kernel_flags(&self) -> u32 {
        if self.kind == MapType::DevMapHash { BPF_F_RDONLY_PROG } else { 0 }
    }

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
        if let Some(limit) = self.limit
            && info.max_entries() != self.entries
        {
            let factor = if self.kind == LruHash { FLOW_ENTRIES } else { 1 };
            return Err(DataplaneError::OtherLimit {
                path: path.to_owned(),
                limit,
                found: info.max_entries() / factor,
                wanted: self.entries / factor,
            });
        }
        let figures = [
            ("keys of bytes:", info.key_size(), self.key_size as u32),
            ("values of bytes:", info.value_size(), self.value_size as u32),
            ("a number of entries:", info.max_entries(), self.entries),
            ("flags", info.map_flags() & !self.kernel_flags(), self.flags),
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A map type as bpftool and the manual write it.
    fn kind(kind: MapType) -> &'static str {
        match kind {
            MapType::Array => "array",
            MapType::DevMapHash => "devmap_hash",
            MapType::Hash => "hash",
            MapType::LruHash => "lru_hash",
            MapType::PerCpuArray => "percpu_array",
            other => panic!("{other:?}: give it a name here"),
        }
    }

    /// The table between `<!-- maps -->` and `<!-- end -->`: name, kind, sizes of key and value,
    /// and entries by default.
    #[test]
    fn the_manual_has_every_map() {
        let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/maps.md");
        let text = fs::read_to_string(manual).expect("docs/maps.md is there");
        let (_, part) = text.split_once("<!-- maps -->\n").expect("the table begins");
        let (part, _) = part.split_once("<!-- end -->").expect("the table ends");
        let rows: Vec<&str> = part.lines().skip(2).collect();
        let maps = maps(&Limits::default());
        assert_eq!(rows.len(), maps.len(), "one row a map");
        for (row, map) in rows.iter().zip(&maps) {
            let MapLayout { name, key_size, value_size, entries, .. } = map;
            let wanted = format!(
                "| `{name}` | {} | {key_size} | {value_size} | {entries} |",
                kind(map.kind)
            );
            assert!(row.starts_with(&wanted), "{row}\nshould begin with\n{wanted}");
        }
    }
}
