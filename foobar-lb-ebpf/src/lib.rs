//! The packet path: what happens to a frame between the driver and the wire.
//!
//! `main.rs` reads as the life of a packet, top down; each stage is a module here and returns
//! `Result<T, Reason>`. The parser and its checks also compile for the host, where they are
//! tested.
//!
//! Rules: everything that takes the context is inlined (a call would pass `data` and `data_end` as
//! 32-bit numbers, which the verifier refuses); every length is checked before the first load and
//! again after a variable offset was added; nothing is logged on the way of a forwarded packet.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod bytes;
#[cfg(target_arch = "bpf")]
pub mod classify;
#[cfg(target_arch = "bpf")]
pub mod clock;
#[cfg(target_arch = "bpf")]
pub mod ctx;
#[cfg(target_arch = "bpf")]
pub mod events;
#[cfg(target_arch = "bpf")]
pub mod flow;
#[cfg(target_arch = "bpf")]
pub mod forward;
pub mod guard;
#[cfg(target_arch = "bpf")]
pub mod maps;
pub mod parse;
#[cfg(target_arch = "bpf")]
pub mod select;
#[cfg(target_arch = "bpf")]
pub mod stats;
