//! The contract between foobar-lb's packet path and its controller, and the arithmetic that both
//! need: addresses and ports as they stand on the wire, checksums, flow keys, reasons, and one
//! plain-old-data struct for every map value.
//!
//! Compiled for BPF and for the host. No aya, no allocation, and no `unsafe` but the marker
//! implementations in [`map`].
#![no_std]
#![deny(unsafe_code)]

pub mod checksum;
pub mod hash;
pub mod limits;
pub mod map;
pub mod net;
pub mod reason;

pub use reason::{Reason, Verdict};
