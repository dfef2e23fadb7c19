//! Map `backends`: the servers behind the services.

use crate::net::{Ip4, Port};

/// A backend of one service. Value of the map `backends`, an array indexed by the backend's id.
///
/// The same server behind two services is two entries.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Backend {
    /// Where it listens.
    pub address: Ip4,
    /// Where it listens.
    pub port: Port,
    /// A [`BackendState`].
    pub state: u8,
    /// Always 0.
    pub zero: u8,
    /// The id of the service that it belongs to.
    pub service: u32,
    /// Raised each time that the id is given to another backend, so that a flow of the former one
    /// is never sent to the latter.
    pub generation: u32,
}

/// What may be sent to a backend.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BackendState {
    /// The id is not in use.
    Free = 0,
    /// New flows and old ones.
    Up = 1,
    /// Old flows only.
    Drain = 2,
    /// Nothing.
    Down = 3,
}

impl BackendState {
    /// The state that a byte from the map stands for; unknown bytes are [`BackendState::Free`].
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Up,
            2 => Self::Drain,
            3 => Self::Down,
            _ => Self::Free,
        }
    }
}

impl Backend {
    /// Whether packets of an established flow may still be sent to it.
    #[inline(always)]
    pub const fn keeps_flows(&self) -> bool {
        self.state == BackendState::Up as u8 || self.state == BackendState::Drain as u8
    }
}
