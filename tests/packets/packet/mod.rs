//! Frames as cases describe them. Every header is written, and every checksum computed from
//! scratch, by etherparse: nothing here shares a line with the packet path.

mod bytes;
mod edit;

use etherparse::{IpNumber, Ipv4Header, TcpHeader, UdpHeader};

use crate::ground::{At, Mac};

/// Where a TCP connection's client begins to count in most cases.
pub const CLIENT_SEQUENCE: u32 = 0x1000_0000;
/// And its backend.
pub const BACKEND_SEQUENCE: u32 = 0x5000_0000;

/// 802.1Q.
const C_TAG: u16 = 0x8100;
/// 802.1ad.
const S_TAG: u16 = 0x88a8;

/// A frame to be sent or expected.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Source and destination; `None`: what the topology says.
    macs: Option<(Mac, Mac)>,
    /// EtherType, priority and VLAN id of each tag, outermost first.
    tags: Vec<(u16, u8, u16)>,
    network: Network,
    padding: usize,
    patches: Vec<Patch>,
    cut: Option<usize>,
}

#[derive(Clone, Debug)]
enum Network {
    Ipv4 { header: Ipv4Header, length: Option<u16>, transport: Transport, payload: Vec<u8> },
    Other { ether_type: u16, bytes: Vec<u8> },
}

#[derive(Clone, Debug)]
enum Transport {
    Tcp(TcpHeader),
    Udp { header: UdpHeader, length: Option<u16>, has_checksum: bool },
    Other,
}

/// A header of the frame, for [`Packet::patch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// IPv4.
    Ip,
    /// TCP or UDP.
    Transport,
}

/// Bytes written over the finished frame.
#[derive(Clone, Debug)]
struct Patch {
    layer: Layer,
    offset: usize,
    bytes: Vec<u8>,
}

/// A TCP segment without flags, with sequence number [`CLIENT_SEQUENCE`].
pub fn tcp(from: At, to: At) -> Packet {
    let header = TcpHeader::new(from.port, to.port, CLIENT_SEQUENCE, 0xfaf0);
    ipv4(from, to, IpNumber::TCP, Transport::Tcp(header))
}

/// A UDP datagram without data.
pub fn udp(from: At, to: At) -> Packet {
    let header =
        UdpHeader { source_port: from.port, destination_port: to.port, length: 0, checksum: 0 };
    let transport = Transport::Udp { header, length: None, has_checksum: true };
    ipv4(from, to, IpNumber::UDP, transport)
}

/// An IPv4 packet of another protocol.
pub fn ip_protocol(from: At, to: At, protocol: u8, payload: &[u8]) -> Packet {
    ipv4(from, to, IpNumber(protocol), Transport::Other).data(payload)
}

/// A frame that is not IPv4.
pub fn not_ip(ether_type: u16, bytes: &[u8]) -> Packet {
    frame(Network::Other { ether_type, bytes: bytes.to_vec() })
}

/// The reset that the balancer itself sends: TTL 64, don't fragment, no window, no options.
pub fn reset(from: At, to: At) -> Packet {
    tcp(from, to).rst().seq(0).ident(0).window(0).edit_ip(|ip| ip.dont_fragment = true)
}

fn ipv4(from: At, to: At, protocol: IpNumber, transport: Transport) -> Packet {
    let header = Ipv4Header {
        identification: 0x4242,
        time_to_live: 64,
        protocol,
        source: from.address,
        destination: to.address,
        ..Ipv4Header::default()
    };
    let payload = vec![];
    frame(Network::Ipv4 {
        header: Ipv4Header { dont_fragment: false, ..header },
        length: None,
        transport,
        payload,
    })
}

fn frame(network: Network) -> Packet {
    Packet { macs: None, tags: vec![], network, padding: 0, patches: vec![], cut: None }
}
