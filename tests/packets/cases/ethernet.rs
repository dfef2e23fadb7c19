//! Ethernet: VLAN tags stay as they are, padding stays, and what is not IPv4 passes.

use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::{web, web_udp},
    ground::{B1, CLIENT, NEAR, OTHER_CLIENT, Side, WEB},
    packet::{CLIENT_SEQUENCE, Packet, not_ip, tcp, udp},
};

/// Puts tags on a packet.
type Tagged = fn(Packet) -> Packet;

/// Tags that are stepped over, and their names.
const TAGS: &[(&str, Tagged)] = &[
    ("one 802.1Q tag", |packet| packet.vlan(5)),
    ("a priority tag: VLAN 0", |packet| packet.tag(0x8100, 6, 0)),
    ("VLAN 4095 with priority 7", |packet| packet.tag(0x8100, 7, 4095)),
    ("one 802.1ad tag", |packet| packet.service_vlan(100)),
    ("802.1ad with 802.1Q inside", |packet| packet.service_vlan(100).vlan(5)),
    ("two 802.1Q tags", |packet| packet.vlan(100).vlan(5)),
];

pub(super) fn cases() -> Vec<Case> {
    let tagged = TAGS.iter().map(|&(name, tag)| {
        case(format!("tags: {name}: intact, both ways, TCP and UDP, either interface"))
            .given([web(&[B1]), web_udp(&[NEAR])])
            .client(tag(tcp(CLIENT, WEB).syn()))
            .goes_to(B1)
            .backend(tag(tcp(B1, CLIENT).syn().ack(CLIENT_SEQUENCE + 1).data(b"odd")))
            .goes_back_from(WEB)
            .client(tag(udp(CLIENT, WEB).data(b"?")))
            .transmits(tag(udp(CLIENT, NEAR).data(b"?").ttl(63)))
            .client(tag(udp(NEAR, CLIENT).data(b"!")))
            .transmits(tag(udp(WEB, CLIENT).data(b"!").ttl(63)))
    });
    let others = [
        case("tags: a flow is the same flow with and without tags")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().vlan(5))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).syn().ack(CLIENT_SEQUENCE + 1))
            .goes_back_from(WEB),
        case("tags: three of them pass")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().service_vlan(100).vlan(5).vlan(6))
            .passes(Reason::TooManyTags)
            .client(tcp(CLIENT, WEB).syn().vlan(1).vlan(2).vlan(3).vlan(4))
            .passes(Reason::TooManyTags)
            .client(tcp(CLIENT, WEB).syn().vlan(1).vlan(2).vlan(3).cut(22))
            .passes(Reason::TooManyTags),
        case("tags: other tag types pass")
            .given(web(&[B1]))
            .each([0x9100, 0x9200, 0x88e5], |case, ether_type| {
                case.client(tcp(CLIENT, WEB).syn().tag(ether_type, 0, 5))
                    .passes(Reason::NotIpv4)
                    .client(tcp(CLIENT, WEB).syn().vlan(5).tag(ether_type, 0, 5))
                    .passes(Reason::NotIpv4)
            }),
        case("tags: what is not IPv4 behind them passes")
            .given(web(&[B1]))
            .client(not_ip(0x0806, &[0; 28]).vlan(5))
            .passes(Reason::NotIpv4)
            .client(not_ip(0x86dd, &[0x60; 40]).service_vlan(100).vlan(5))
            .passes(Reason::NotIpv4),
        case("not IPv4: ARP, IPv6, LLDP, loopback and 802.3 lengths pass")
            .given(web(&[B1]))
            .each([0x0806, 0x86dd, 0x88cc, 0x9000, 0x0000, 0x002e, 0x05dc, 0xffff], |case, kind| {
                case.client(not_ip(kind, &[0x45; 60])).passes(Reason::NotIpv4)
            }),
        case("not IPv4: an IPv4 packet under IPv6's EtherType passes")
            .given(web(&[B1]))
            .client(not_ip(0x86dd, &tcp(CLIENT, WEB).syn().arriving(Side::Client)[14..]))
            .passes(Reason::NotIpv4),
        case("padding: a 60-byte frame stays one, whatever is behind the IPv4 packet")
            .given([web(&[B1]), web_udp(&[B1])])
            .establish(CLIENT, WEB, B1)
            .client(tcp(CLIENT, WEB).ack(1).padding(6))
            .goes_to(B1)
            .client(tcp(CLIENT, WEB).ack(1).data(b"odd").padding(3))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).ack(1).padding(6))
            .goes_back_from(WEB)
            .client(udp(CLIENT, WEB).data(b"?").padding(17))
            .goes_to(B1)
            .backend(udp(B1, CLIENT).padding(18))
            .goes_back_from(WEB),
        case("padding: behind tags, and more than a minimum frame needs")
            .given(web(&[B1]))
            .client(tcp(OTHER_CLIENT, WEB).syn().vlan(5).padding(2))
            .goes_to(B1)
            .client(tcp(CLIENT, WEB).syn().padding(1000))
            .goes_to(B1),
    ];
    tagged.chain(others).collect()
}
