//! Map `services`: which packets are for which service.

use crate::net::{Ip4, Port, Protocol};

/// What clients reach. Key of the map `services`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ServiceKey {
    /// The service's address.
    pub address: Ip4,
    /// The service's port.
    pub port: Port,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Always 0.
    pub zero: u8,
}

impl ServiceKey {
    /// The key for an address, port and protocol.
    #[inline(always)]
    pub const fn new(address: Ip4, port: Port, protocol: Protocol) -> Self {
        Self { address, port, protocol, zero: 0 }
    }
}

/// A service. Value of the map `services`; replaced as a whole, so a packet sees either the old
/// table or the new one.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Service {
    /// Index into the maps `cursors` and `service_stats`.
    pub id: u32,
    /// Where the service's table begins in the map `slots`.
    pub table_start: u32,
    /// Slots in the table; 0 when no backend can take a new flow.
    pub table_len: u32,
    /// A [`Pick`].
    pub pick: u8,
    /// Always 0.
    pub zero: [u8; 3],
}

/// How a new flow's slot is picked in its service's table.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Pick {
    /// Each CPU walks the slots in turn.
    #[default]
    Turn = 0,
    /// By a hash of the flow's addresses, ports and protocol.
    Flow = 1,
    /// By a hash of the client's address.
    Source = 2,
}
