//! From description to bytes.

use etherparse::{
    EtherType, Ethernet2Header, Ipv4Header, SingleVlanHeader, UdpHeader, VlanId, VlanPcp,
};

use super::{Layer, Network, Packet, Patch, Transport};
use crate::ground::{Mac, Side, mac_of};

impl Packet {
    /// The frame as it arrives at `side`.
    pub fn arriving(&self, side: Side) -> Vec<u8> {
        let source = match &self.network {
            Network::Ipv4 { header, .. } => mac_of(header.source),
            Network::Other { .. } => mac_of([0; 4]),
        };
        self.bytes((source, side.mac()))
    }

    /// The frame as it leaves `side` for its destination, one hop away.
    pub fn leaving(&self, side: Side) -> Vec<u8> {
        self.bytes((side.mac(), mac_of(self.ip().destination)))
    }

    /// The frame, with these MAC addresses unless it has its own.
    pub fn bytes(&self, macs: (Mac, Mac)) -> Vec<u8> {
        let (source, destination) = self.macs.unwrap_or(macs);
        let (inner_type, (ip, transport, rest)) = match &self.network {
            Network::Other { ether_type, bytes } => (*ether_type, (vec![], vec![], bytes.clone())),
            Network::Ipv4 { header, length, transport, payload } => {
                (0x0800, ipv4_bytes(header, *length, transport, payload))
            }
        };
        let types = || self.tags.iter().map(|&(ether_type, ..)| ether_type).chain([inner_type]);
        let ether_type = EtherType(types().next().unwrap_or(inner_type));
        let mut frame = Ethernet2Header { source, destination, ether_type }.to_bytes().to_vec();
        for (&(_, priority, id), next) in self.tags.iter().zip(types().skip(1)) {
            let tag = SingleVlanHeader {
                pcp: VlanPcp::try_new(priority).expect("three bits"),
                drop_eligible_indicator: false,
                vlan_id: VlanId::try_new(id).expect("12 bits"),
                ether_type: EtherType(next),
            };
            frame.extend(tag.to_bytes());
        }
        let ip_at = frame.len();
        frame.extend(&ip);
        let transport_at = frame.len();
        frame.extend(&transport);
        frame.extend(&rest);
        frame.extend(std::iter::repeat_n(0xee, self.padding));
        for Patch { layer, offset, bytes } in &self.patches {
            let at = offset + if *layer == Layer::Ip { ip_at } else { transport_at };
            frame[at..at + bytes.len()].copy_from_slice(bytes);
        }
        frame.truncate(self.cut.unwrap_or(usize::MAX));
        frame
    }
}

/// The IPv4 header, the transport header, and the payload.
fn ipv4_bytes(
    header: &Ipv4Header,
    length: Option<u16>,
    transport: &Transport,
    payload: &[u8],
) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let transport = match transport {
        Transport::Tcp(tcp) => {
            let mut tcp = tcp.clone();
            tcp.checksum = tcp.calc_checksum_ipv4(header, payload).expect("short enough");
            tcp.to_bytes().to_vec()
        }
        Transport::Udp { header: udp, length, has_checksum } => {
            let whole = (UdpHeader::LEN + payload.len()) as u16;
            let mut udp = UdpHeader { length: length.unwrap_or(whole), ..udp.clone() };
            if *has_checksum {
                // What lies behind the UDP length is not covered.
                let covered = usize::from(udp.length.clamp(UdpHeader::LEN_U16, whole));
                udp.checksum = udp
                    .calc_checksum_ipv4(header, &payload[..covered - UdpHeader::LEN])
                    .expect("short enough");
            }
            udp.to_bytes().to_vec()
        }
        Transport::Other => vec![],
    };
    let mut header = header.clone();
    header.total_len =
        length.unwrap_or((header.header_len() + transport.len() + payload.len()) as u16);
    header.header_checksum = header.calc_header_checksum();
    (header.to_bytes().to_vec(), transport, payload.to_vec())
}
