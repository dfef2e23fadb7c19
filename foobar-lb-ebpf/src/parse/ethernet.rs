//! Ethernet II and VLAN tags (IEEE 802.3, 802.1Q, 802.1ad).

use core::mem::offset_of;

use foobar_lb_common::{Reason, limits::MAX_VLAN_TAGS};
use network_types::{
    eth::{EthHdr, EtherType},
    vlan::VlanHdr,
};

use crate::bytes::Bytes;

/// EtherTypes as they lie in memory.
const IPV4: u16 = EtherType::Ipv4 as u16;
const VLAN: u16 = EtherType::Ieee8021q as u16;
const SERVICE_VLAN: u16 = EtherType::Ieee8021ad as u16;

/// Where the IPv4 header begins, behind the Ethernet header and the tags.
#[inline(always)]
pub(super) fn ipv4_offset<B: Bytes + ?Sized>(frame: &B) -> Result<usize, Reason> {
    let header = frame.view::<{ EthHdr::LEN }>(0).ok_or(Reason::TruncatedEthernet)?;
    let mut ether_type = header.u16::<{ offset_of!(EthHdr, ether_type) }>();
    let mut offset = EthHdr::LEN;
    let mut tags = 0;
    while ether_type == VLAN || ether_type == SERVICE_VLAN {
        if tags == MAX_VLAN_TAGS {
            return Err(Reason::TooManyTags);
        }
        let tag = frame.view::<{ VlanHdr::LEN }>(offset).ok_or(Reason::TruncatedEthernet)?;
        ether_type = tag.u16::<{ offset_of!(VlanHdr, ether_type) }>();
        offset += VlanHdr::LEN;
        tags += 1;
    }
    if ether_type == IPV4 { Ok(offset) } else { Err(Reason::NotIpv4) }
}
