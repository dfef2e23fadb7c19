//! Entry point.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod bpf {
    use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};

    /// x
    #[xdp]
    pub fn foobar_lb(_ctx: XdpContext) -> u32 {
        xdp_action::XDP_PASS
    }

    #[panic_handler]
    fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}
#[cfg(not(target_arch = "bpf"))]
fn main() {}
