//! Mode nat, both directions: what is rewritten, and that all the rest is kept.

use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::{service, web, web_udp},
    ground::{API, B1, B2, CLIENT, NEAR, OTHER_CLIENT, Side, WEB, mac_of},
    packet::{BACKEND_SEQUENCE, CLIENT_SEQUENCE, not_ip, tcp, udp},
};
use foobar_lb::model::Protocol;

/// MSS 1460, SACK permitted, timestamps, no-operation, window scale 7: what Linux sends.
const SYN_OPTIONS: &[u8] = &[
    2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 1, 3, 3, 7,
];

pub(super) fn cases() -> Vec<Case> {
    let counting: Vec<u8> = (0..=255).cycle().take(1460).collect();
    vec![
        case("nat: a SYN goes to the backend")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().ttl(64).macs(mac_of(CLIENT.address), Side::Client.mac()))
            .redirects(
                tcp(CLIENT, B1).syn().ttl(63).macs(Side::Backend.mac(), mac_of(B1.address)),
            ),
        case("nat: the backend's answer goes to the client, from the service")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .backend(
                tcp(B1, CLIENT)
                    .seq(BACKEND_SEQUENCE)
                    .syn()
                    .ack(CLIENT_SEQUENCE + 1)
                    .macs(mac_of(B1.address), Side::Backend.mac()),
            )
            .redirects(
                tcp(WEB, CLIENT)
                    .seq(BACKEND_SEQUENCE)
                    .syn()
                    .ack(CLIENT_SEQUENCE + 1)
                    .ttl(63)
                    .macs(Side::Client.mac(), mac_of(CLIENT.address)),
            ),
        case("nat: a UDP datagram goes to the backend")
            .given(web_udp(&[B1]))
            .client(udp(CLIENT, WEB).data(b"what time is it?"))
            .redirects(
                udp(CLIENT, B1)
                    .data(b"what time is it?")
                    .ttl(63)
                    .macs(Side::Backend.mac(), mac_of(B1.address)),
            ),
        case("nat: a UDP answer goes to the client, from the service")
            .given(web_udp(&[B1]))
            .client(udp(CLIENT, WEB).data(b"what time is it?"))
            .goes_to(B1)
            .backend(udp(B1, CLIENT).data(b"noon"))
            .redirects(
                udp(WEB, CLIENT)
                    .data(b"noon")
                    .ttl(63)
                    .macs(Side::Client.mac(), mac_of(CLIENT.address)),
            ),
        case("nat: backend and service may have the same port")
            .given(web(&[B1.port(80)]))
            .establish(CLIENT, WEB, B1.port(80)),
        case("nat: data both ways in an established connection")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .client(tcp(CLIENT, WEB).psh().ack(BACKEND_SEQUENCE + 1).data(b"GET / HTTP/1.0\n\n"))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).psh().ack(CLIENT_SEQUENCE + 17).data(b"HTTP/1.0 200\n\n"))
            .goes_back_from(WEB),
        case("nat: TCP options are kept")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().tcp_options(SYN_OPTIONS))
            .goes_to(B1)
            .backend(
                tcp(B1, CLIENT).syn().ack(CLIENT_SEQUENCE + 1).tcp_options(SYN_OPTIONS),
            )
            .goes_back_from(WEB)
            .client(tcp(CLIENT, WEB).ack(1).tcp_options(&[1; 40]).data(b"odd"))
            .goes_to(B1),
        case("nat: every TCP flag, window and urgent pointer of an established flow is kept")
            .given(web(&[B1]))
            .each((0..=255u8).enumerate(), |case, (i, flags)| {
                // One connection each: some of the flags end it.
                let client = CLIENT.port(20_000 + i as u16);
                case.client(tcp(client, WEB).syn())
                    .goes_to(B1)
                    .client(
                        tcp(client, WEB)
                            .flags(flags)
                            .window(u16::from(flags) << 8)
                            .edit_tcp(|tcp| tcp.urgent_pointer = 0x1234),
                    )
                    .goes_to(B1)
            }),
        case("nat: TCP payloads of every length from 0 to 65")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each(0..=65, {
                let counting = counting.clone();
                move |case, length| {
                    case.client(tcp(CLIENT, WEB).ack(1).data(&counting[..length]))
                        .goes_to(B1)
                        .backend(tcp(B1, CLIENT).ack(1).data(&counting[..length]))
                        .goes_back_from(WEB)
                }
            }),
        case("nat: UDP payloads of every length from 0 to 65")
            .given(web_udp(&[B1]))
            .each(0..=65, {
                let counting = counting.clone();
                move |case, length| {
                    case.client(udp(CLIENT, WEB).data(&counting[..length]))
                        .goes_to(B1)
                        .backend(udp(B1, CLIENT).data(&counting[..length]))
                        .goes_back_from(WEB)
                }
            }),
        case("nat: a frame as large as the MTU allows")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .client(tcp(CLIENT, WEB).ack(1).data(&counting))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).ack(1).data(&counting))
            .goes_back_from(WEB),
        case("nat: DSCP and ECN are kept")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each([0x00, 0x01, 0x02, 0x03, 0x28, 0xb8, 0xba, 0xfc, 0xff], |case, tos| {
                case.client(tcp(CLIENT, WEB).ack(1).tos(tos))
                    .goes_to(B1)
                    .backend(tcp(B1, CLIENT).ack(1).tos(tos))
                    .goes_back_from(WEB)
            }),
        case("nat: identification and don't-fragment are kept")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each([0, 1, 0x8000, 0xffff], |case, ident| {
                case.client(
                    tcp(CLIENT, WEB).ack(1).ident(ident).edit_ip(|ip| ip.dont_fragment = true),
                )
                .goes_to(B1)
            }),
        case("ttl: 2, 64 and 255 are one less afterwards")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each([2, 64, 255], |case, ttl| {
                case.client(tcp(CLIENT, WEB).ack(1).ttl(ttl))
                    .redirects(tcp(CLIENT, B1).ack(1).ttl(ttl - 1))
                    .backend(tcp(B1, CLIENT).ack(1).ttl(ttl))
                    .redirects(tcp(WEB, CLIENT).ack(1).ttl(ttl - 1))
            }),
        case("ttl: 0 and 1 end here, both ways")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each([0, 1], |case, ttl| {
                case.client(tcp(CLIENT, WEB).ack(1).ttl(ttl))
                    .drops(Reason::TtlExceeded)
                    .backend(tcp(B1, CLIENT).ack(1).ttl(ttl))
                    .drops(Reason::TtlExceeded)
                    .client(tcp(OTHER_CLIENT, WEB).syn().ttl(ttl))
                    .drops(Reason::TtlExceeded)
            }),
        case("same interface: the packet leaves by the interface it came in by")
            .given(web(&[NEAR]))
            .client(tcp(CLIENT, WEB).syn())
            .transmits(
                tcp(CLIENT, NEAR).syn().ttl(63).macs(Side::Client.mac(), mac_of(NEAR.address)),
            )
            .client(tcp(NEAR, CLIENT).syn().ack(CLIENT_SEQUENCE + 1))
            .transmits(
                tcp(WEB, CLIENT)
                    .syn()
                    .ack(CLIENT_SEQUENCE + 1)
                    .ttl(63)
                    .macs(Side::Client.mac(), mac_of(CLIENT.address)),
            ),
        case("same interface: UDP")
            .given(web_udp(&[NEAR]))
            .client(udp(CLIENT, WEB).data(b"?"))
            .transmits(udp(CLIENT, NEAR).data(b"?").ttl(63))
            .client(udp(NEAR, CLIENT).data(b"!"))
            .transmits(udp(WEB, CLIENT).data(b"!").ttl(63)),
        case("services: TCP and UDP on the same address and port do not mix")
            .given([web(&[B1]), web_udp(&[B2])])
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .client(udp(CLIENT, WEB))
            .goes_to(B2)
            .backend(tcp(B2, CLIENT).ack(1))
            .passes(Reason::NotService)
            .backend(udp(B1, CLIENT))
            .passes(Reason::NotService)
            .backend(tcp(B1, CLIENT).syn().ack(CLIENT_SEQUENCE + 1))
            .goes_back_from(WEB)
            .backend(udp(B2, CLIENT))
            .goes_back_from(WEB),
        case("services: a TCP service takes no UDP, and a UDP service no TCP")
            .given([web(&[B1]), service(Protocol::Udp, API, &[B1])])
            .client(udp(CLIENT, WEB))
            .passes(Reason::NotService)
            .client(tcp(CLIENT, API).syn())
            .passes(Reason::NotService),
        case("services: two of them with the same backend, from different clients")
            .given([web(&[B1]), service(Protocol::Tcp, API, &[B1])])
            .establish(CLIENT, WEB, B1)
            .establish(OTHER_CLIENT, API, B1)
            .backend(tcp(B1, CLIENT).ack(1))
            .goes_back_from(WEB)
            .backend(tcp(B1, OTHER_CLIENT).ack(1))
            .goes_back_from(API),
        case("not for a service: the host stays reachable on its own ports")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB.port(22)).syn())
            .passes(Reason::NotService)
            .client(tcp(CLIENT, WEB.address([198, 51, 100, 1])).syn())
            .passes(Reason::NotService)
            .client(udp(CLIENT, WEB.port(53)).data(b"?"))
            .passes(Reason::NotService),
        case("not for a service: broadcast and multicast")
            .given(web(&[B1]))
            .client(udp(CLIENT, WEB.address([255; 4]).port(67)))
            .passes(Reason::NotService)
            .client(udp(CLIENT, WEB.address([224, 0, 0, 251]).port(5353)))
            .passes(Reason::NotService),
        case("not for a service: a backend's packet of no known flow")
            .given(web(&[B1]))
            .backend(tcp(B1, CLIENT).ack(1).data(b"who are you?"))
            .passes(Reason::NotService)
            .establish(CLIENT, WEB, B1)
            .backend(tcp(B1, CLIENT.port(40_001)).ack(1))
            .passes(Reason::NotService)
            .backend(tcp(B1.port(8081), CLIENT).ack(1))
            .passes(Reason::NotService)
            .backend(tcp(B2, CLIENT).ack(1))
            .passes(Reason::NotService),
        case("not for a service: nothing at all is configured")
            .client(tcp(CLIENT, WEB).syn())
            .passes(Reason::NotService)
            .client(not_ip(0x0806, &[0; 28]))
            .passes(Reason::NotIpv4),
    ]
}
