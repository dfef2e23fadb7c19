//! The frame in the driver's memory: the only raw packet pointers of the packet path.

use aya_ebpf::{EbpfContext as _, helpers::generated::bpf_xdp_adjust_tail, programs::XdpContext};

use crate::bytes::{Bytes, View};

/// A received frame.
pub struct Frame<'a> {
    ctx: &'a XdpContext,
}

impl<'a> Frame<'a> {
    /// The frame that `ctx` is about.
    #[inline(always)]
    pub fn new(ctx: &'a XdpContext) -> Self {
        Self { ctx }
    }

    /// Where the frame begins.
    ///
    /// Volatile, as [`Frame::end`] is: otherwise LLVM may load the field a second time after the
    /// bounds check, and the verifier takes that for an unchecked pointer.
    #[inline(always)]
    fn start(&self) -> usize {
        // SAFETY: the context is the program's own, valid for the whole run.
        unsafe { (&raw const (*self.ctx.ctx).data).read_volatile() as usize }
    }

    /// The first address behind the frame.
    #[inline(always)]
    fn end(&self) -> usize {
        // SAFETY: as above.
        unsafe { (&raw const (*self.ctx.ctx).data_end).read_volatile() as usize }
    }

    /// The context, for helpers.
    #[inline(always)]
    pub fn ctx(&self) -> &'a XdpContext {
        self.ctx
    }

    /// The index of the interface that the frame came in by.
    #[inline(always)]
    pub fn interface(&self) -> u32 {
        self.ctx.ingress_ifindex() as u32
    }

    /// Views `N` bytes at `offset` for writing, if they are there.
    #[inline(always)]
    pub fn view_mut<const N: usize>(&mut self, offset: usize) -> Option<ViewMut<'_, N>> {
        let start = self.start() + offset;
        if start + N > self.end() {
            return None;
        }
        Some(ViewMut { start: start as *mut u8, frame: core::marker::PhantomData })
    }

    /// Cuts the frame to `length` bytes. Every view made before is void; the borrow checker sees
    /// to that.
    #[inline(always)]
    pub fn truncate(&mut self, length: usize) -> bool {
        let delta = length as i64 - self.length() as i64;
        // SAFETY: the context is the program's own; all views have ended.
        unsafe { bpf_xdp_adjust_tail(self.ctx.as_ptr().cast(), delta as i32) == 0 }
    }
}

impl Bytes for Frame<'_> {
    #[inline(always)]
    fn view<const N: usize>(&self, offset: usize) -> Option<View<'_, N>> {
        let start = self.start() + offset;
        if start + N > self.end() {
            return None;
        }
        // SAFETY: N bytes from start are within the frame. Drivers place frames at even addresses,
        // and headers begin at even offsets.
        Some(unsafe { View::new(start as *const u8) })
    }

    #[inline(always)]
    fn length(&self) -> usize {
        opaque(self.end() - self.start())
    }
}

/// Keeps LLVM from mixing a number with what is done to it later: regrouped with other terms, the
/// difference of two pointers becomes one that the verifier refuses.
#[inline(always)]
fn opaque(mut number: usize) -> usize {
    // SAFETY: copies a register to itself. (Not nothing at all: two line records for one
    // instruction are refused by the kernel.)
    unsafe {
        core::arch::asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack));
    }
    number
}

/// `N` bytes of a frame, for reading and writing. See [`View`] for the rules.
pub struct ViewMut<'a, const N: usize> {
    start: *mut u8,
    frame: core::marker::PhantomData<&'a mut [u8; N]>,
}

impl<const N: usize> ViewMut<'_, N> {
    /// The same bytes, for reading.
    #[inline(always)]
    pub fn get(&self) -> View<'_, N> {
        // SAFETY: checked when this view was made.
        unsafe { View::new(self.start) }
    }

    /// Stores a byte at `OFFSET`.
    #[inline(always)]
    pub fn set_u8<const OFFSET: usize>(&mut self, value: u8) {
        const { assert!(OFFSET < N) };
        // SAFETY: OFFSET < N, and N bytes are writable.
        unsafe { self.start.add(OFFSET).write(value) }
    }

    /// Stores two bytes at `OFFSET`, as they lie in memory.
    #[inline(always)]
    pub fn set_u16<const OFFSET: usize>(&mut self, value: u16) {
        const { assert!(OFFSET + 2 <= N && OFFSET.is_multiple_of(2)) };
        // SAFETY: OFFSET + 2 <= N, N bytes are writable, and the address is even.
        unsafe { self.start.add(OFFSET).cast::<u16>().write(value) }
    }

    /// Stores four bytes at `OFFSET`, as they lie in memory.
    #[inline(always)]
    pub fn set_u32<const OFFSET: usize>(&mut self, value: u32) {
        const { assert!(OFFSET + 4 <= N && OFFSET.is_multiple_of(2)) };
        let (low, high) = (value as u16, (value >> 16) as u16);
        let halves = if cfg!(target_endian = "little") { [low, high] } else { [high, low] };
        // SAFETY: OFFSET + 4 <= N, N bytes are writable, and the address is even.
        unsafe { self.start.add(OFFSET).cast::<[u16; 2]>().write(halves) }
    }

    /// Stores a MAC address at `OFFSET`.
    #[inline(always)]
    pub fn set_mac<const OFFSET: usize>(&mut self, mac: [u8; 6]) {
        const { assert!(OFFSET + 6 <= N && OFFSET.is_multiple_of(2)) };
        let halves = [
            u16::from_ne_bytes([mac[0], mac[1]]),
            u16::from_ne_bytes([mac[2], mac[3]]),
            u16::from_ne_bytes([mac[4], mac[5]]),
        ];
        // SAFETY: OFFSET + 6 <= N, N bytes are writable, and the address is even.
        unsafe { self.start.add(OFFSET).cast::<[u16; 3]>().write(halves) }
    }

    /// The MAC address at `OFFSET`.
    #[inline(always)]
    pub fn mac<const OFFSET: usize>(&self) -> [u8; 6] {
        const { assert!(OFFSET + 6 <= N && OFFSET.is_multiple_of(2)) };
        // SAFETY: OFFSET + 6 <= N, N bytes are readable, and the address is even.
        let [a, b, c] = unsafe { self.start.add(OFFSET).cast::<[u16; 3]>().read() };
        let ([a, b], [c, d], [e, f]) = (a.to_ne_bytes(), b.to_ne_bytes(), c.to_ne_bytes());
        [a, b, c, d, e, f]
    }
}
