//! Frames that end too early, at every length that the kernel lets through: 14 bytes and more.
//! (Shorter ones, and every other length, are the parser's own tests.)

use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::{web, web_udp},
    ground::{B1, CLIENT, WEB},
    packet::{Layer, Packet, ip_protocol, tcp, udp},
};

/// The frame, cut at each length up to its own, always with the reason that fits.
fn cut_everywhere(case: Case, packet: &Packet, tags: usize) -> Case {
    let ip_at = 14 + 4 * tags;
    let whole = packet.arriving(crate::ground::Side::Client).len();
    case.each(14..whole, |case, length| {
        let reason = match length {
            _ if length < ip_at => Reason::TruncatedEthernet,
            _ if length < ip_at + 20 => Reason::TruncatedIpv4,
            // The IPv4 header says how long the packet should be.
            _ => Reason::BadIpv4,
        };
        case.client(packet.clone().cut(length)).passes(reason)
    })
}

pub(super) fn cases() -> Vec<Case> {
    let given = || [web(&[B1]), web_udp(&[B1])];
    vec![
        cut_everywhere(
            case("cut: TCP, at every length").given(given()),
            &tcp(CLIENT, WEB).syn().tcp_options(&[1; 12]).data(b"data"),
            0,
        ),
        cut_everywhere(
            case("cut: UDP, at every length").given(given()),
            &udp(CLIENT, WEB).data(b"data"),
            0,
        ),
        cut_everywhere(
            case("cut: TCP behind one tag, at every length").given(given()),
            &tcp(CLIENT, WEB).syn().vlan(5),
            1,
        ),
        cut_everywhere(
            case("cut: UDP behind two tags, at every length").given(given()),
            &udp(CLIENT, WEB).service_vlan(9).vlan(5),
            2,
        ),
        cut_everywhere(
            case("cut: TCP behind IPv4 options, at every length").given(given()),
            &tcp(CLIENT, WEB).syn().ip_option_words(10),
            0,
        ),
        case("cut: TCP headers of 0 to 19 bytes in an IPv4 packet of just that length")
            .given(given())
            .each(0..20, |case, length| {
                case.client(ip_protocol(CLIENT, WEB, 6, &[0x50; 20][..length]))
                    .passes(Reason::TruncatedTransport)
                    // The bytes are there, but they are padding.
                    .client(tcp(CLIENT, WEB).syn().ip_length(20 + length as u16))
                    .passes(Reason::TruncatedTransport)
            }),
        case("cut: UDP headers of 0 to 7 bytes in an IPv4 packet of just that length")
            .given(given())
            .each(0..8, |case, length| {
                case.client(ip_protocol(CLIENT, WEB, 17, &[0; 8][..length]))
                    .passes(Reason::TruncatedTransport)
                    .client(udp(CLIENT, WEB).data(&[0; 8]).ip_length(20 + length as u16))
                    .passes(Reason::TruncatedTransport)
            }),
        case("lies: a TCP data offset below 5 words, or beyond the packet")
            .given(given())
            .each((0..5).chain(7..16u8), |case, words| {
                case.client(
                    tcp(CLIENT, WEB).syn().data(b"data").patch(Layer::Transport, 12, &[words << 4]),
                )
                .passes(Reason::TruncatedTransport)
            })
            .client(tcp(CLIENT, WEB).syn().padding(20).patch(Layer::Transport, 12, &[0x60]))
            .passes(Reason::TruncatedTransport),
        case("lies: a UDP length below 8, or beyond the packet")
            .given(given())
            .each([0, 1, 7, 13, 14, 1000, 0xffff], |case, length| {
                case.client(udp(CLIENT, WEB).data(b"data").udp_length(length))
                    .passes(Reason::TruncatedTransport)
            })
            .client(udp(CLIENT, WEB).data(b"data").padding(20).udp_length(13))
            .passes(Reason::TruncatedTransport),
        case("lies: a UDP length that ends before the IPv4 packet does is none")
            .given(given())
            .each([8, 9, 11, 12], |case, length| {
                case.client(udp(CLIENT, WEB).data(b"data").udp_length(length)).goes_to(B1)
            }),
        case("lies: also of known flows")
            .given(given())
            .establish(CLIENT, WEB, B1)
            .client(tcp(CLIENT, WEB).ack(1).patch(Layer::Transport, 12, &[0x60]))
            .passes(Reason::TruncatedTransport)
            .backend(tcp(B1, CLIENT).ack(1).patch(Layer::Transport, 12, &[0x40]))
            .passes(Reason::TruncatedTransport),
    ]
}
