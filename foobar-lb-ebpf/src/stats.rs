//! Counters. One per-CPU entry is one CPU's alone, so a plain addition is exact.

use foobar_lb_common::{Reason, map::Traffic};

use crate::maps::{BACKEND_STATS, REASONS, SERVICE_STATS};

/// Counts the end of a packet. Called once for every packet.
#[inline(always)]
pub fn count_reason(reason: Reason) {
    if let Some(counter) = REASONS.get_ptr_mut(reason.index()) {
        // SAFETY: this CPU's own entry of an array, which lives as long as the program.
        unsafe { *counter += 1 };
    }
}

/// Counts a packet from a client of `service` to `backend`.
#[inline(always)]
pub fn count_in(service: u32, backend: u32, bytes: u64) {
    update(service, backend, |traffic| {
        traffic.packets_in += 1;
        traffic.bytes_in += bytes;
    });
}

/// Counts a packet from `backend` to a client of `service`.
#[inline(always)]
pub fn count_out(service: u32, backend: u32, bytes: u64) {
    update(service, backend, |traffic| {
        traffic.packets_out += 1;
        traffic.bytes_out += bytes;
    });
}

/// Counts a flow that began.
#[inline(always)]
pub fn count_new_flow(service: u32, backend: u32) {
    update(service, backend, |traffic| traffic.new_flows += 1);
}

/// Counts a connection that the backend refused.
#[inline(always)]
pub fn count_refused(service: u32, backend: u32) {
    update(service, backend, |traffic| traffic.refused += 1);
}

#[inline(always)]
fn update(service: u32, backend: u32, change: impl Fn(&mut Traffic)) {
    if let Some(traffic) = SERVICE_STATS.get_ptr_mut(service) {
        // SAFETY: this CPU's own entry of an array; no other reference to it is alive.
        change(unsafe { &mut *traffic });
    }
    if let Some(traffic) = BACKEND_STATS.get_ptr_mut(backend) {
        // SAFETY: as above.
        change(unsafe { &mut *traffic });
    }
}
