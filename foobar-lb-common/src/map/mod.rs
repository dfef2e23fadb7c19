//! One plain-old-data struct for every map key and value: `repr(C)`, no padding, no enum, no bool,
//! no Option, so that any bytes the kernel holds are a valid value, and a hash key never carries
//! stray bytes. Sizes are asserted at compile time; changing one means raising
//! [`crate::limits::LAYOUT_VERSION`].
#![expect(unsafe_code, reason = "the marker implementations of Pod")]

mod backend;
mod flow;
mod service;
mod stats;

pub use backend::{Backend, BackendState};
pub use flow::{Direction, Flow, FlowKey};
pub use service::{Pick, Service, ServiceKey};
pub use stats::Traffic;

/// Plain old data: any bit pattern is valid, and there is no padding.
///
/// # Safety
///
/// The type must be `repr(C)` or `repr(transparent)`, without padding, and valid for any bytes.
pub unsafe trait Pod: Copy + 'static {}

macro_rules! pod {
    ($($type:ty = $size:literal),+ $(,)?) => {
        $(
            const _: () = assert!(size_of::<$type>() == $size);
            // SAFETY: repr(C), integers and arrays of integers only, and the size (asserted above)
            // is the sum of the fields' sizes.
            unsafe impl Pod for $type {}
        )+
    };
}

pod! {
    ServiceKey = 8,
    Service = 16,
    Backend = 16,
    FlowKey = 16,
    Flow = 32,
    Traffic = 48,
}
