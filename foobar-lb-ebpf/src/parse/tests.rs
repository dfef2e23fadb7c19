//! The parser on slices: every length from nothing to the whole header, and against etherparse.

use etherparse::{
    EtherType, IpNumber, Ipv4Header, Ipv4Options, LinkExtSlice, NetSlice, SlicedPacket, TcpHeader,
    TransportSlice, UdpHeader,
};
use foobar_lb_common::{Reason, Verdict};
use proptest::prelude::*;

use super::*;

const SOURCE: [u8; 4] = [198, 51, 100, 7];
const DESTINATION: [u8; 4] = [203, 0, 113, 10];
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;

/// An Ethernet header and tags, before a packet of this type.
fn ethernet(tags: &[u16], ether_type: u16) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for (i, tag) in tags.iter().enumerate() {
        frame.extend(tag.to_be_bytes());
        frame.extend((i as u16 + 1).to_be_bytes());
    }
    frame.extend(ether_type.to_be_bytes());
    frame
}

/// An IPv4 packet in a frame, by etherparse.
fn frame(tags: &[u16], option_words: usize, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    let mut ip = Ipv4Header {
        total_len: (20 + 4 * option_words + payload.len()) as u16,
        time_to_live: 61,
        protocol,
        source: SOURCE,
        destination: DESTINATION,
        ..Ipv4Header::default()
    };
    ip.options = Ipv4Options::try_from(&[1; 40][..4 * option_words]).unwrap();
    ip.header_checksum = ip.calc_header_checksum();
    let mut frame = ethernet(tags, EtherType::IPV4.0);
    frame.extend(&ip.to_bytes());
    frame.extend(payload);
    frame
}

fn tcp(data: &[u8]) -> Vec<u8> {
    let mut header = TcpHeader::new(40_000, 80, 7, 100);
    header.syn = true;
    header.psh = true;
    [&header.to_bytes()[..], data].concat()
}

fn udp(data: &[u8]) -> Vec<u8> {
    let length = 8 + data.len() as u16;
    let header = UdpHeader { source_port: 40_000, destination_port: 53, length, checksum: 0 };
    [&header.to_bytes()[..], data].concat()
}

#[test]
fn every_field() {
    for (tags, ip_offset) in [(&[][..], 14), (&[VLAN][..], 18), (&[SERVICE_VLAN, VLAN][..], 22)] {
        for words in 0..=10 {
            let packet = parse(&frame(tags, words, IpNumber::TCP, &tcp(b"data"))[..]).unwrap();
            let expected = Packet {
                ip_offset,
                transport_offset: ip_offset + 20 + 4 * words,
                ip_length: (20 + 4 * words + 24) as u16,
                tos: 0,
                ttl: 61,
                protocol: Protocol::TCP,
                source: Ip4(SOURCE),
                destination: Ip4(DESTINATION),
                source_port: Port::new(40_000),
                destination_port: Port::new(80),
                flags: TcpFlags(TcpFlags::SYN | 0x08),
            };
            assert_eq!(packet, expected);
            let packet = parse(&frame(tags, words, IpNumber::UDP, &udp(b""))[..]).unwrap();
            let expected = Packet {
                ip_length: (20 + 4 * words + 8) as u16,
                protocol: Protocol::UDP,
                destination_port: Port::new(53),
                flags: TcpFlags(0),
                ..expected
            };
            assert_eq!(packet, expected);
        }
    }
}

/// A frame that ends after `length` bytes: the reason tells which header is incomplete.
#[test]
fn truncated_at_every_length() {
    for tags in [&[][..], &[VLAN], &[SERVICE_VLAN, VLAN]] {
        for payload in [(IpNumber::TCP, tcp(b"")), (IpNumber::UDP, udp(b""))] {
            for words in [0, 1, 10] {
                let whole = frame(tags, words, payload.0, &payload.1);
                let ip_offset = 14 + 4 * tags.len();
                for length in 0..whole.len() {
                    let expected = match length {
                        _ if length < ip_offset => Reason::TruncatedEthernet,
                        _ if length < ip_offset + 20 => Reason::TruncatedIpv4,
                        // Less than the IPv4 header says.
                        _ => Reason::BadIpv4,
                    };
                    assert_eq!(parse(&whole[..length]), Err(expected), "{length} bytes");
                }
                assert!(parse(&whole[..]).is_ok());
            }
        }
    }
}

/// The IPv4 packet itself ends within the transport header, whatever padding comes behind it.
#[test]
fn transport_header_truncated_at_every_length() {
    for padding in [0, 40] {
        for (protocol, header) in [(IpNumber::TCP, tcp(b"")), (IpNumber::UDP, udp(b""))] {
            for length in 0..header.len() {
                let mut frame = frame(&[], 0, protocol, &header[..length]);
                frame.extend(vec![0x55; padding]);
                assert_eq!(parse(&frame[..]), Err(Reason::TruncatedTransport), "{length} bytes");
            }
        }
    }
}

#[test]
fn tags() {
    let tagged = |tags: &[u16]| parse(&frame(tags, 0, IpNumber::UDP, &udp(b""))[..]);
    for tags in [&[VLAN, VLAN][..], &[SERVICE_VLAN], &[VLAN, SERVICE_VLAN]] {
        assert!(tagged(tags).is_ok());
    }
    for tags in [&[VLAN; 3][..], &[SERVICE_VLAN, VLAN, VLAN, VLAN]] {
        assert_eq!(tagged(tags), Err(Reason::TooManyTags));
    }
    for other in [0x9100, 0x88e5, 0x86dd, 0x0806, 0] {
        assert_eq!(parse(&ethernet(&[VLAN], other)[..]), Err(Reason::NotIpv4));
        assert_eq!(parse(&ethernet(&[], other)[..]), Err(Reason::NotIpv4));
    }
}

/// What etherparse makes of a frame, as far as it is ours: IPv4, TCP or UDP, not fragmented, behind
/// at most two tags of the two kinds.
fn by_etherparse(frame: &[u8]) -> Option<Packet> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    // The type of a tag stands in the header before it.
    let mut kind = u16::from_be_bytes([frame[12], frame[13]]);
    for extension in &packet.link_exts {
        let LinkExtSlice::Vlan(tag) = extension else { return None };
        if kind != VLAN && kind != SERVICE_VLAN {
            return None;
        }
        kind = tag.ether_type().0;
    }
    if packet.link_exts.len() > 2 || packet.is_ip_payload_fragmented() {
        return None;
    }
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { return None };
    let header = ip.header();
    let (protocol, source_port, destination_port, flags) = match packet.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => {
            let flags = [
                tcp.fin(),
                tcp.syn(),
                tcp.rst(),
                tcp.psh(),
                tcp.ack(),
                tcp.urg(),
                tcp.ece(),
                tcp.cwr(),
            ];
            let flags = flags.iter().rev().fold(0, |byte, &flag| byte << 1 | u8::from(flag));
            (Protocol::TCP, tcp.source_port(), tcp.destination_port(), flags)
        }
        TransportSlice::Udp(udp) => (Protocol::UDP, udp.source_port(), udp.destination_port(), 0),
        _ => return None,
    };
    // An IPsec header before the transport's is etherparse's to step over, not ours.
    if header.protocol().0 != protocol.0 {
        return None;
    }
    let ip_offset = 14 + 4 * packet.link_exts.len();
    Some(Packet {
        ip_offset,
        transport_offset: ip_offset + header.slice().len(),
        ip_length: header.total_len(),
        tos: header.dcp().value() << 2 | header.ecn().value(),
        ttl: header.ttl(),
        protocol,
        source: Ip4(header.source()),
        destination: Ip4(header.destination()),
        source_port: Port::new(source_port),
        destination_port: Port::new(destination_port),
        flags: TcpFlags(flags),
    })
}

/// Ours and etherparse's answer to the same frame. Whatever is refused passes to the kernel.
fn agree(frame: &[u8]) -> Result<(), TestCaseError> {
    let ours = parse(frame);
    let theirs = by_etherparse(frame);
    match (ours, theirs) {
        // etherparse reads a UDP length of 0 as "to the end" (jumbograms, which IPv4 has not).
        (Err(Reason::TruncatedTransport), Some(packet)) if packet.protocol == Protocol::UDP => {
            let at = packet.transport_offset + 4;
            prop_assert_eq!(&frame[at..at + 2], &[0, 0]);
        }
        (ours, theirs) => prop_assert_eq!(ours.ok(), theirs),
    }
    if let Err(reason) = ours {
        prop_assert_eq!(reason.verdict(), Verdict::Pass);
    }
    Ok(())
}

/// A well-formed frame with a few bytes changed, then cut or padded.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![Just(VLAN), Just(SERVICE_VLAN), Just(0x9100)];
    let change = (0usize..120, any::<u8>());
    (
        prop::collection::vec(tag, 0..4),
        0usize..=10,
        any::<bool>(),
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(change, 0..4),
        prop_oneof![Just(None), (0usize..130).prop_map(Some)],
    )
        .prop_map(|(tags, words, is_tcp, data, changes, length)| {
            let (protocol, payload) =
                if is_tcp { (IpNumber::TCP, tcp(&data)) } else { (IpNumber::UDP, udp(&data)) };
            let mut frame = frame(&tags, words, protocol, &payload);
            for (at, byte) in changes {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            if let Some(length) = length {
                frame.resize(length, 0xee);
            }
            frame
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_frames_are_read_as_etherparse_reads_them(frame in damaged()) {
        agree(&frame)?;
    }

    #[test]
    fn any_bytes_are_read_as_etherparse_reads_them(
        mut frame in prop::collection::vec(any::<u8>(), 0..120),
        as_ipv4 in any::<bool>(),
    ) {
        if as_ipv4 && frame.len() > 23 {
            frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
            frame[16] = 0;
            frame[23] = if frame[23] % 2 == 0 { 6 } else { 17 };
        }
        agree(&frame)?;
    }
}
