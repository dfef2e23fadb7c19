//! Maps `flows` and `new_flows`: which backend each connection was given.
//!
//! Every flow has two entries: one under the tuple that the client sends (to the service), one
//! under the tuple that the backend sends (to the client). Either is found by one look-up with the
//! tuple as the packet carries it.

use crate::{
    limits,
    net::{Ip4, Port, Protocol},
};

/// Addresses and ports as the packet carries them. Key of the maps `flows` and `new_flows`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FlowKey {
    /// The packet's source.
    pub source: Ip4,
    /// The packet's destination.
    pub destination: Ip4,
    /// The packet's source port.
    pub source_port: Port,
    /// The packet's destination port.
    pub destination_port: Port,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Always 0.
    pub zero: [u8; 3],
}

impl FlowKey {
    /// The key under which the other direction's packets are found: `self` is the key of one
    /// direction, `far` the address and port that the rewrite puts in place of the near one.
    ///
    /// For the client's tuple (client to service) with the backend as `far`, this is backend to
    /// client; for the backend's tuple with the service as `far`, it is client to service.
    #[inline(always)]
    #[must_use]
    pub const fn twin(&self, direction: Direction, far: Ip4, far_port: Port) -> Self {
        match direction {
            Direction::ToBackend => Self {
                source: far,
                destination: self.source,
                source_port: far_port,
                destination_port: self.source_port,
                protocol: self.protocol,
                zero: [0; 3],
            },
            Direction::ToClient => Self {
                source: self.destination,
                destination: far,
                source_port: self.destination_port,
                destination_port: far_port,
                protocol: self.protocol,
                zero: [0; 3],
            },
        }
    }
}

/// Which way the packets of an entry go.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// From the client to the service: the destination is rewritten.
    ToBackend = 0,
    /// From the backend to the client: the source is rewritten.
    ToClient = 1,
}

/// One direction of a flow. Value of the maps `flows` and `new_flows`.
///
/// Written by the packet path only. Each field that two CPUs may write at once is a whole byte or
/// word of its own that is only ever set, so that no update is lost.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flow {
    /// The backend's id.
    pub backend: u32,
    /// The backend's generation when the flow began.
    pub generation: u32,
    /// The service's id.
    pub service: u32,
    /// When the last packet of this direction came, in [`limits::ticks`] of the monotonic clock.
    pub seen: u32,
    /// TCP in its handshake: the acknowledgement that proves the client saw the backend's SYN,
    /// in host byte order. Meaningful once `replied` is set.
    pub expected_ack: u32,
    /// What the rewrite puts in place: the backend's address for [`Direction::ToBackend`], the
    /// service's for [`Direction::ToClient`].
    pub far: Ip4,
    /// The port that goes with `far`.
    pub far_port: Port,
    /// A [`Direction`].
    pub direction: u8,
    /// 1 once the client has sent a FIN.
    pub client_fin: u8,
    /// 1 once the backend has sent a FIN.
    pub backend_fin: u8,
    /// 1 once either has sent a reset.
    pub reset: u8,
    /// 1 once the backend has answered.
    pub replied: u8,
    /// How often this client's connection was refused by a backend and tried again.
    pub refusals: u8,
}

impl Flow {
    /// Whether this entry is for packets from the client.
    #[inline(always)]
    pub const fn is_to_backend(&self) -> bool {
        self.direction == Direction::ToBackend as u8
    }

    /// Whether the connection is over: reset, or finished by both sides.
    #[inline(always)]
    pub const fn is_closed(&self) -> bool {
        self.reset != 0 || (self.client_fin != 0 && self.backend_fin != 0)
    }

    /// Whether the entry has been idle for longer than `limit` ticks at time `now`.
    #[inline(always)]
    pub const fn is_idle(&self, now: u32, limit: u32) -> bool {
        now.wrapping_sub(self.seen) > limit && now.wrapping_sub(self.seen) < u32::MAX / 2
    }

    /// Whether an established flow's entry may be replaced by a new flow's.
    #[inline(always)]
    pub const fn is_replaceable(&self, protocol: Protocol, now: u32) -> bool {
        let limit = if protocol.0 == Protocol::TCP.0 { limits::TCP_IDLE } else { limits::UDP_IDLE };
        self.is_closed() || self.is_idle(now, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Ip4 = Ip4([198, 51, 100, 7]);
    const SERVICE: Ip4 = Ip4([203, 0, 113, 10]);
    const BACKEND: Ip4 = Ip4([10, 0, 0, 11]);

    #[test]
    fn twins_are_each_others() {
        let to_backend = FlowKey {
            source: CLIENT,
            destination: SERVICE,
            source_port: Port::new(40_000),
            destination_port: Port::new(80),
            protocol: Protocol::TCP,
            zero: [0; 3],
        };
        let to_client = to_backend.twin(Direction::ToBackend, BACKEND, Port::new(8080));
        assert_eq!(to_client.source, BACKEND);
        assert_eq!(to_client.source_port, Port::new(8080));
        assert_eq!(to_client.destination, CLIENT);
        assert_eq!(to_client.destination_port, Port::new(40_000));
        assert_eq!(to_client.twin(Direction::ToClient, SERVICE, Port::new(80)), to_backend);
    }

    #[test]
    fn closed_and_idle() {
        let flow = Flow { seen: 100, ..Flow::default() };
        assert!(!flow.is_closed());
        assert!(!flow.is_idle(100, 10));
        assert!(flow.is_idle(111, 10));
        // Another CPU's clock may be a tick ahead: that is not "idle for 136 years".
        assert!(!flow.is_idle(99, 10));
        assert!(!Flow { client_fin: 1, ..flow }.is_closed());
        assert!(Flow { client_fin: 1, backend_fin: 1, ..flow }.is_closed());
        assert!(Flow { reset: 1, ..flow }.is_closed());
        assert!(flow.is_replaceable(Protocol::UDP, 300));
        assert!(!flow.is_replaceable(Protocol::TCP, 300));
    }
}
