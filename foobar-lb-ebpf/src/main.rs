//! The XDP program: the whole life of a packet, top down.
//!
//! ```text
//! frame -> parse -> flow (known?) --------------------- yes -> forward -> count -> verdict
//!            |         | no                                      |
//!            |      classify (service?) -> guard -> select ------+
//!            |         | no                  |        |          |
//!            pass     pass                  drop   drop/reset   drop, or rewritten to the kernel
//! ```
//!
//! Each stage is a module of the library beside this file. Nothing else is here.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod program {
    use aya_ebpf::{
        bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX},
        macros::xdp,
        programs::XdpContext,
    };
    use foobar_lb_common::{Reason, Verdict};
    use foobar_lb_ebpf::{
        classify, clock,
        ctx::Frame,
        events,
        flow::{self, Found},
        forward::{self, reset},
        guard, parse, select, stats,
    };

    /// The entry point: one packet in, one counted reason and its verdict out.
    #[xdp]
    pub fn foobar_lb(ctx: XdpContext) -> u32 {
        let reason = match balance(&ctx) {
            Ok(reason) | Err(reason) => reason,
        };
        stats::count_reason(reason);
        match reason.verdict() {
            Verdict::Pass => {
                events::log(&ctx, reason);
                XDP_PASS
            }
            Verdict::Drop => {
                events::log(&ctx, reason);
                XDP_DROP
            }
            Verdict::Tx => XDP_TX,
            Verdict::Redirect => XDP_REDIRECT,
        }
    }

    #[inline(always)]
    fn balance(ctx: &XdpContext) -> Result<Reason, Reason> {
        let mut frame = Frame::new(ctx);
        let packet = parse::parse(&frame)?;
        match route(&frame, &packet) {
            Ok(route) => forward::forward(&mut frame, &packet, &route),
            Err(reason @ (Reason::ResetNoFlow | Reason::ResetBackendGone)) => {
                reset::answer(&mut frame, &packet)?;
                Err(reason)
            }
            Err(reason) => Err(reason),
        }
    }

    /// Which backend, or which client.
    #[inline(always)]
    fn route(frame: &Frame<'_>, packet: &parse::Packet) -> Result<flow::Route, Reason> {
        let now = clock::ticks();
        let key = packet.flow_key();
        let fresh = match flow::find(frame, packet, &key, now)? {
            Found::Known(route) => return Ok(route),
            Found::Restart(fresh) => fresh,
            Found::Nothing => Found::FIRST,
        };
        let service = classify::service(packet)?;
        guard::check(packet)?;
        select::backend(packet, &key, &service, fresh, now)
    }

    #[panic_handler]
    fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }

    /// `bpf_fib_lookup` is for GPL-compatible programs only.
    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}

/// On the host there is nothing to run: the library is what the tests use.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
