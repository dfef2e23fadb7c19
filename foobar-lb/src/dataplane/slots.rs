//! The map `slots`, in our own memory: written and read without a system call a slot.

use std::{
    num::NonZeroUsize,
    os::fd::AsFd as _,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use aya::maps::{Map, MapData, MapError};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::DataplaneError;

const NAME: &str = "slots";

/// The mapped array. The packet path reads it at the same time: every slot is one atomic word.
pub(super) struct Slots {
    start: NonNull<AtomicU32>,
    length: usize,
    bytes: NonZeroUsize,
    /// Keeps the map alive.
    _map: MapData,
}

// SAFETY: the mapping belongs to this value alone within the process, and is only accessed
// atomically.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

impl Slots {
    pub(super) fn new(map: Map) -> Result<Self, DataplaneError> {
        let failed = |source: MapError| DataplaneError::Map { map: NAME, source };
        let Map::Array(map) = map else { return Err(DataplaneError::NoMap(NAME)) };
        let length = map.info().map_err(failed)?.max_entries() as usize;
        // A kernel array's values are 8 bytes apart.
        let page = 4096;
        let bytes = NonZeroUsize::new((length * STRIDE * 4).next_multiple_of(page))
            .ok_or(DataplaneError::NoMap(NAME))?;
        // SAFETY: a new shared mapping at an address of the kernel's choice; the map was made
        // with BPF_F_MMAPABLE, and the kernel rounds its size up to whole pages.
        let start = unsafe {
            mmap(
                None,
                bytes,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                map.fd().as_fd(),
                0,
            )
        }
        .map_err(|errno| failed(MapError::IoError(errno.into())))?;
        Ok(Self { start: start.cast(), length, bytes, _map: map })
    }

    /// Writes a table that no service points at yet. Slots past the end are ignored.
    pub(super) fn write(&self, start: u32, table: &[u32]) {
        for (slot, id) in (start as usize..self.length).zip(table) {
            self.slot(slot).store(*id, Ordering::Relaxed);
        }
    }

    /// Reads `length` slots from `start`, or as many as there are.
    pub(super) fn read(&self, start: u32, length: u32) -> Vec<u32> {
        let end = (start as usize).saturating_add(length as usize).min(self.length);
        (start as usize..end).map(|slot| self.slot(slot).load(Ordering::Relaxed)).collect()
    }

    fn slot(&self, index: usize) -> &AtomicU32 {
        debug_assert!(index < self.length);
        // SAFETY: the callers keep the index below the length, and the mapping holds that many
        // words, STRIDE apart.
        unsafe { self.start.add(index * STRIDE).as_ref() }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size, and no reference outlives this value. There is
        // nothing to be done about a refusal.
        let _ = unsafe { munmap(self.start.cast(), self.bytes.get()) };
    }
}

/// The kernel keeps the values of an array 8 bytes apart (kernel/bpf/arraymap.c, `elem_size`):
/// <https://github.com/torvalds/linux/blob/v6.18/kernel/bpf/arraymap.c#L89>.
const STRIDE: usize = 2;
