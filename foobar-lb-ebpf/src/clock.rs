//! The time, as coarse as flows need it.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use foobar_lb_common::limits::TICK_SHIFT;

/// Now, in ticks of the monotonic clock (see [`foobar_lb_common::limits::ticks`]).
#[inline(always)]
pub fn ticks() -> u32 {
    // SAFETY: the helper takes nothing and reads a clock. Linux 5.11.
    (unsafe { bpf_ktime_get_coarse_ns() } >> TICK_SHIFT) as u32
}
