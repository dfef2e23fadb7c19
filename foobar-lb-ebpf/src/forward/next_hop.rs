//! Where a packet goes next: the kernel's own routing and neighbour tables.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NO_NEIGH,
        BPF_FIB_LKUP_RET_SUCCESS, bpf_fib_lookup as FibParameters,
    },
    helpers::generated::bpf_fib_lookup,
};
use foobar_lb_common::{Reason, net::Ip4};

use crate::{ctx::Frame, parse::Packet};

/// `AF_INET`.
const IPV4: u8 = 2;

/// The next hop of a packet.
pub(super) struct NextHop {
    /// The ifindex of the interface that leads there.
    pub(super) interface: u32,
    /// That interface's own MAC address.
    pub(super) source_mac: [u8; 6],
    /// The next hop's.
    pub(super) destination_mac: [u8; 6],
}

/// Asks the kernel for the way from `source` to `destination`.
///
/// # Errors
///
/// A reason to leave the packet to the kernel: it resolves the neighbour, fragments, or tells the
/// sender.
#[inline(always)]
pub(super) fn find(
    frame: &Frame<'_>,
    packet: &Packet,
    source: Ip4,
    destination: Ip4,
) -> Result<NextHop, Reason> {
    // SAFETY: plain old data, for which zeros are valid.
    let mut fib: FibParameters = unsafe { core::mem::zeroed() };
    fib.family = IPV4;
    fib.l4_protocol = packet.protocol.0;
    fib.__bindgen_anon_1.tot_len = packet.ip_length;
    fib.__bindgen_anon_2.tos = packet.tos;
    fib.__bindgen_anon_3.ipv4_src = source.to_wire();
    fib.__bindgen_anon_4.ipv4_dst = destination.to_wire();
    fib.ifindex = frame.interface();
    // SAFETY: the context is the program's own, and the parameters are of the given size.
    let result = unsafe {
        bpf_fib_lookup(frame.ctx().as_ptr(), &mut fib, size_of::<FibParameters>() as i32, 0)
    };
    match result as u32 {
        BPF_FIB_LKUP_RET_SUCCESS => {
            Ok(NextHop { interface: fib.ifindex, source_mac: fib.smac, destination_mac: fib.dmac })
        }
        BPF_FIB_LKUP_RET_NO_NEIGH => Err(Reason::KernelNoNeighbour),
        BPF_FIB_LKUP_RET_FRAG_NEEDED => Err(Reason::KernelTooBig),
        BPF_FIB_LKUP_RET_FWD_DISABLED => Err(Reason::KernelForwardingOff),
        _ => Err(Reason::KernelRoute),
    }
}
