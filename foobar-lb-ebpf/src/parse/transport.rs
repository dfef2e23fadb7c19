//! TCP (RFC 9293) and UDP (RFC 768).

use core::mem::offset_of;

use foobar_lb_common::{
    Reason,
    net::{Port, Protocol},
};
use network_types::{tcp::TcpHdr, udp::UdpHdr};

use super::ipv4::Ipv4;
use crate::bytes::Bytes;

/// The control bits of a TCP header (RFC 9293 section 3.1), as the byte carries them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;

    /// Whether all of `flags` are set.
    #[inline(always)]
    pub const fn has(self, flags: u8) -> bool {
        self.0 & flags == flags
    }

    /// Whether any of `flags` is set.
    #[inline(always)]
    pub const fn has_any(self, flags: u8) -> bool {
        self.0 & flags != 0
    }

    /// Whether this opens a connection: SYN without ACK.
    #[inline(always)]
    pub const fn opens(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }
}

/// The control bits stand in the TCP header's byte 13.
const FLAGS_OFFSET: usize = 13;
/// The data offset stands in the upper half of byte 12.
pub(crate) const DATA_OFFSET: usize = 12;

/// The fields of a TCP or UDP header that matter here.
pub(super) struct Transport {
    pub(super) source_port: Port,
    pub(super) destination_port: Port,
    pub(super) flags: TcpFlags,
}

/// Reads the header behind `ip`.
#[inline(always)]
pub(super) fn header<B: Bytes + ?Sized>(frame: &B, ip: &Ipv4) -> Result<Transport, Reason> {
    if ip.protocol == Protocol::TCP {
        if usize::from(ip.payload_length) < TcpHdr::LEN {
            return Err(Reason::TruncatedTransport);
        }
        let view =
            frame.view::<{ TcpHdr::LEN }>(ip.payload_offset).ok_or(Reason::TruncatedTransport)?;
        let header_length = u16::from(view.u8::<DATA_OFFSET>() >> 4) * 4;
        if header_length < TcpHdr::LEN as u16 || header_length > ip.payload_length {
            return Err(Reason::TruncatedTransport);
        }
        Ok(Transport {
            source_port: Port::from_wire(view.u16::<{ offset_of!(TcpHdr, source) }>()),
            destination_port: Port::from_wire(view.u16::<{ offset_of!(TcpHdr, dest) }>()),
            flags: TcpFlags(view.u8::<FLAGS_OFFSET>()),
        })
    } else {
        if usize::from(ip.payload_length) < UdpHdr::LEN {
            return Err(Reason::TruncatedTransport);
        }
        let view =
            frame.view::<{ UdpHdr::LEN }>(ip.payload_offset).ok_or(Reason::TruncatedTransport)?;
        let length = view.u16_be::<{ offset_of!(UdpHdr, len) }>();
        if length < UdpHdr::LEN as u16 || length > ip.payload_length {
            return Err(Reason::TruncatedTransport);
        }
        Ok(Transport {
            source_port: Port::from_wire(view.u16::<{ offset_of!(UdpHdr, src) }>()),
            destination_port: Port::from_wire(view.u16::<{ offset_of!(UdpHdr, dst) }>()),
            flags: TcpFlags(0),
        })
    }
}
