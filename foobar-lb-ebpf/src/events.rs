//! One line for each packet that was not forwarded: a tool for a hard day, off unless the
//! controller was started with `--log-packets`.
//!
//! While it is off the verifier prunes it: the level is a constant of the loaded program.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::debug;
use foobar_lb_common::Reason;

use crate::{bytes::Bytes as _, ctx::Frame};

/// Says what happened to the packet.
#[inline(always)]
pub fn log(ctx: &XdpContext, reason: Reason) {
    debug!(
        ctx,
        "packet: reason {} verdict {} interface {} bytes {}",
        reason.name(),
        reason.verdict().name(),
        ctx.ingress_ifindex(),
        Frame::new(ctx).length(),
    );
}
