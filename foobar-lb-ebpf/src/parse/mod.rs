//! From bytes to a [`Packet`]: Ethernet with up to two VLAN tags, IPv4 with options, TCP or UDP.
//!
//! Reads every header once, in order; decides nothing. What cannot be parsed is not ours: it goes
//! to the kernel untouched, with the reason counted.

mod ethernet;
mod ipv4;
mod transport;

use foobar_lb_common::{
    Reason,
    map::FlowKey,
    net::{Ip4, Port, Protocol},
};

use crate::bytes::Bytes;

#[cfg(target_arch = "bpf")]
pub(crate) use transport::DATA_OFFSET;
pub use transport::TcpFlags;

/// What the packet path needs to know of an IPv4 TCP or UDP packet. Offsets are from the frame's
/// first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where the IPv4 header begins: 14, 18 or 22.
    pub ip_offset: usize,
    /// Where the TCP or UDP header begins.
    pub transport_offset: usize,
    /// The IPv4 total length: header and payload, in bytes.
    pub ip_length: u16,
    /// The type-of-service byte: DSCP and ECN (RFC 2474, RFC 3168).
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where it comes from.
    pub source: Ip4,
    /// Where it goes to.
    pub destination: Ip4,
    /// Where it comes from.
    pub source_port: Port,
    /// Where it goes to.
    pub destination_port: Port,
    /// The TCP flags; none for UDP.
    pub flags: TcpFlags,
}

impl Packet {
    /// The key that this packet's flow is found by.
    #[inline(always)]
    pub fn flow_key(&self) -> FlowKey {
        FlowKey {
            source: self.source,
            destination: self.destination,
            source_port: self.source_port,
            destination_port: self.destination_port,
            protocol: self.protocol,
            zero: [0; 3],
        }
    }
}

/// Parses a frame.
///
/// # Errors
///
/// The [`Reason`] for which the frame is not a TCP or UDP packet over IPv4 that could be balanced;
/// all of them pass the frame on to the kernel.
#[inline(always)]
pub fn parse<B: Bytes + ?Sized>(frame: &B) -> Result<Packet, Reason> {
    let ip_offset = ethernet::ipv4_offset(frame)?;
    let ip = ipv4::header(frame, ip_offset)?;
    let transport = transport::header(frame, &ip)?;
    Ok(Packet {
        ip_offset,
        transport_offset: ip.payload_offset,
        ip_length: ip.length,
        tos: ip.tos,
        ttl: ip.ttl,
        protocol: ip.protocol,
        source: ip.source,
        destination: ip.destination,
        source_port: transport.source_port,
        destination_port: transport.destination_port,
        flags: transport.flags,
    })
}

#[cfg(test)]
mod tests;
