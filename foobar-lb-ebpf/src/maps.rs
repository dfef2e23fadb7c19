//! Every map of the packet path, and nothing else. docs/maps.md describes them.
//!
//! Names are 15 characters at most, so that bpftool shows them whole. The sizes here are the
//! defaults; the controller sets the configured ones when it loads the program. What configuration
//! fills (`services`, `slots`, `backends`, `devices`) is only read here; what is written here
//! (`flows`, `new_flows`, `cursors`, statistics) the controller only reads.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, DevMapHash, HashMap, LruHashMap, PerCpuArray},
    macros::btf_map,
};
use foobar_lb_common::{
    Reason,
    limits::MAX_INTERFACES,
    map::{Backend, Flow, FlowKey, Service, ServiceKey, Traffic},
};

const MAX_SERVICES: usize = 4096;
const MAX_BACKENDS: usize = 65_536;
const MAX_SLOTS: usize = 1_048_576;
/// Two entries a flow.
const MAX_FLOWS: usize = 524_288;
const MAX_NEW_FLOWS: usize = 131_072;

/// Which packets are for which service.
#[btf_map(name = "services")]
pub static SERVICES: HashMap<ServiceKey, Service, MAX_SERVICES> = HashMap::new();

/// The tables of all services, one after the other; each slot names a backend by its id. Mapped
/// into the controller's memory: a table of 65,537 slots is written in a fraction of a millisecond.
#[btf_map(name = "slots")]
pub static SLOTS: Array<u32, MAX_SLOTS, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The backends by their ids.
#[btf_map(name = "backends")]
pub static BACKENDS: Array<Backend, MAX_BACKENDS> = Array::new();

/// The interfaces that packets can be redirected to, by ifindex.
#[btf_map(name = "devices")]
pub static DEVICES: DevMapHash<{ MAX_INTERFACES as usize }> = DevMapHash::new();

/// Established flows, both directions. Only a flow whose client has proved that it sees the
/// backend's answers gets in, so that a flood of first packets cannot push these out.
#[btf_map(name = "flows")]
pub static FLOWS: LruHashMap<FlowKey, Flow, MAX_FLOWS> = LruHashMap::new();

/// Flows that are not established yet, both directions.
#[btf_map(name = "new_flows")]
pub static NEW_FLOWS: LruHashMap<FlowKey, Flow, MAX_NEW_FLOWS> = LruHashMap::new();

/// Where each service's round-robin stands on this CPU, by the service's id.
#[btf_map(name = "cursors")]
pub static CURSORS: PerCpuArray<u32, MAX_SERVICES> = PerCpuArray::new();

/// Packets by reason.
#[btf_map(name = "reasons")]
pub static REASONS: PerCpuArray<u64, { Reason::COUNT }> = PerCpuArray::new();

/// Traffic by the service's id.
#[btf_map(name = "service_stats")]
pub static SERVICE_STATS: PerCpuArray<Traffic, MAX_SERVICES> = PerCpuArray::new();

/// Traffic by the backend's id.
#[btf_map(name = "backend_stats")]
pub static BACKEND_STATS: PerCpuArray<Traffic, MAX_BACKENDS> = PerCpuArray::new();
