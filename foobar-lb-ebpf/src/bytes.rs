//! Checked views of a packet's bytes.
//!
//! A [`View`] is made after one bounds check and knows its length at compile time, so that every
//! field access after that is checked by the compiler, not at run time. Multi-byte fields come as
//! they lie in memory ("wire"); nothing here swaps bytes but the `be` accessors.

use core::marker::PhantomData;

/// Something that bytes can be viewed in: a frame in the driver's memory, or a slice on the host.
pub trait Bytes {
    /// Views `N` bytes at `offset`, if they are there.
    fn view<const N: usize>(&self, offset: usize) -> Option<View<'_, N>>;

    /// How many bytes there are.
    fn length(&self) -> usize;
}

/// `N` bytes of a packet, for reading.
///
/// Field offsets are constants and must be even for fields longer than a byte: headers start at
/// even offsets of the frame, so two-byte loads are aligned.
#[derive(Clone, Copy)]
pub struct View<'a, const N: usize> {
    start: *const u8,
    frame: PhantomData<&'a [u8; N]>,
}

impl<const N: usize> View<'_, N> {
    /// A view of the `N` bytes at `start`.
    ///
    /// # Safety
    ///
    /// `start..start + N` must be readable for as long as the view lives, and, for BPF, `start`
    /// must be even.
    #[inline(always)]
    pub unsafe fn new(start: *const u8) -> Self {
        Self { start, frame: PhantomData }
    }

    /// The byte at `OFFSET`.
    #[inline(always)]
    pub fn u8<const OFFSET: usize>(&self) -> u8 {
        const { assert!(OFFSET < N) };
        // SAFETY: OFFSET < N, and N bytes are readable.
        unsafe { self.start.add(OFFSET).read() }
    }

    /// The two bytes at `OFFSET`, as they lie in memory.
    #[inline(always)]
    pub fn u16<const OFFSET: usize>(&self) -> u16 {
        const { assert!(OFFSET + 2 <= N && OFFSET.is_multiple_of(2)) };
        // SAFETY: OFFSET + 2 <= N, and N bytes are readable.
        let at = unsafe { self.start.add(OFFSET) }.cast::<u16>();
        if cfg!(target_arch = "bpf") {
            // SAFETY: the start is even (see `new`), and so is OFFSET.
            unsafe { at.read() }
        } else {
            // SAFETY: any alignment will do.
            unsafe { at.read_unaligned() }
        }
    }

    /// The two bytes at `OFFSET` as a big-endian number.
    #[inline(always)]
    pub fn u16_be<const OFFSET: usize>(&self) -> u16 {
        u16::from_be(self.u16::<OFFSET>())
    }

    /// The four bytes at `OFFSET`, as they lie in memory.
    #[inline(always)]
    pub fn u32<const OFFSET: usize>(&self) -> u32 {
        const { assert!(OFFSET + 4 <= N && OFFSET.is_multiple_of(2)) };
        // SAFETY: OFFSET + 4 <= N, and N bytes are readable.
        let at = unsafe { self.start.add(OFFSET) }.cast::<[u16; 2]>();
        let halves = if cfg!(target_arch = "bpf") {
            // SAFETY: the start is even (see `new`), and so is OFFSET.
            unsafe { at.read() }
        } else {
            // SAFETY: any alignment will do.
            unsafe { at.read_unaligned() }
        };
        if cfg!(target_endian = "little") {
            u32::from(halves[0]) | u32::from(halves[1]) << 16
        } else {
            u32::from(halves[0]) << 16 | u32::from(halves[1])
        }
    }

    /// The four bytes at `OFFSET` as a big-endian number.
    #[inline(always)]
    pub fn u32_be<const OFFSET: usize>(&self) -> u32 {
        u32::from_be(self.u32::<OFFSET>())
    }
}

impl Bytes for [u8] {
    fn view<const N: usize>(&self, offset: usize) -> Option<View<'_, N>> {
        let bytes = self.get(offset..offset.checked_add(N)?)?;
        // SAFETY: the slice holds N bytes and is borrowed for the view's lifetime; the host needs
        // no alignment.
        Some(unsafe { View::new(bytes.as_ptr()) })
    }

    fn length(&self) -> usize {
        self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let bytes = [1u8, 2, 3, 4, 5];
        let view = bytes.view::<4>(1).unwrap();
        assert_eq!(view.u8::<0>(), 2);
        assert_eq!(view.u16_be::<2>(), 0x0405);
        assert_eq!(view.u32_be::<0>(), 0x0203_0405);
        assert_eq!(view.u32::<0>(), u32::from_ne_bytes([2, 3, 4, 5]));
    }

    #[test]
    fn out_of_bounds() {
        let bytes = [0u8; 5];
        assert!(bytes.view::<4>(2).is_none());
        assert!(bytes.view::<6>(0).is_none());
        assert!(bytes.view::<1>(usize::MAX).is_none());
        assert!(bytes.view::<5>(0).is_some());
    }
}
