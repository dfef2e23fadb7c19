//! IPv4 (RFC 791).

use core::mem::offset_of;

use foobar_lb_common::{
    Reason,
    net::{Ip4, Protocol},
};
use network_types::ip::Ipv4Hdr;

use crate::bytes::Bytes;

/// More-fragments bit and fragment offset: not zero in every fragment (RFC 791 section 3.1).
const FRAGMENT_MASK: u16 = 0x3fff;

/// The fields of an IPv4 header that matter here.
pub(super) struct Ipv4 {
    pub(super) payload_offset: usize,
    /// Bytes behind the header that belong to the packet (the frame may be padded).
    pub(super) payload_length: u16,
    pub(super) length: u16,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) protocol: Protocol,
    pub(super) source: Ip4,
    pub(super) destination: Ip4,
}

/// Reads the header at `offset` and checks it against itself and the frame.
#[inline(always)]
pub(super) fn header<B: Bytes + ?Sized>(frame: &B, offset: usize) -> Result<Ipv4, Reason> {
    let view = frame.view::<{ Ipv4Hdr::LEN }>(offset).ok_or(Reason::TruncatedIpv4)?;
    let version_and_length = view.u8::<{ offset_of!(Ipv4Hdr, vihl) }>();
    let header_length = usize::from(version_and_length & 0x0f) * 4;
    // "The minimum value for a correct header is 5" (RFC 791 section 3.1).
    if version_and_length >> 4 != 4 || header_length < Ipv4Hdr::LEN {
        return Err(Reason::BadIpv4);
    }
    let length = view.u16_be::<{ offset_of!(Ipv4Hdr, tot_len) }>();
    if usize::from(length) < header_length || offset + usize::from(length) > frame.length() {
        return Err(Reason::BadIpv4);
    }
    let protocol = Protocol(view.u8::<{ offset_of!(Ipv4Hdr, proto) }>());
    if protocol != Protocol::TCP && protocol != Protocol::UDP {
        return Err(Reason::NotTcpUdp);
    }
    if view.u16_be::<{ offset_of!(Ipv4Hdr, frags) }>() & FRAGMENT_MASK != 0 {
        return Err(Reason::Fragment);
    }
    Ok(Ipv4 {
        payload_offset: offset + header_length,
        payload_length: length - header_length as u16,
        length,
        tos: view.u8::<{ offset_of!(Ipv4Hdr, tos) }>(),
        ttl: view.u8::<{ offset_of!(Ipv4Hdr, ttl) }>(),
        protocol,
        source: Ip4::from_wire(view.u32::<{ offset_of!(Ipv4Hdr, src_addr) }>()),
        destination: Ip4::from_wire(view.u32::<{ offset_of!(Ipv4Hdr, dst_addr) }>()),
    })
}
