//! aya's marker for plain old data, on the types of the common crate.

use aya::Pod;

/// A value as the kernel holds it.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Raw<T>(pub(super) T);

// SAFETY: transparent over a type that is plain old data itself.
unsafe impl<T: foobar_lb_common::map::Pod> Pod for Raw<T> {}
