//! IPv4: options are accepted and kept, fragments and other protocols pass, and so does a header
//! that contradicts itself.

use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::{web, web_udp},
    ground::{B1, CLIENT, OTHER_CLIENT, WEB},
    packet::{CLIENT_SEQUENCE, Layer, ip_protocol, tcp, udp},
};

/// Record route with three empty places.
const RECORD_ROUTE: [u8; 16] = [7, 15, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Router alert (RFC 2113).
const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];

pub(super) fn cases() -> Vec<Case> {
    let client = |words: usize| OTHER_CLIENT.port(1000 + words as u16);
    vec![
        case("options: TCP with 1 to 10 words of them, both ways")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each(1..=10, |case, words| {
                case.client(tcp(CLIENT, WEB).ack(1).ip_option_words(words).data(b"odd"))
                    .goes_to(B1)
                    .backend(tcp(B1, CLIENT).ack(1).ip_option_words(words).data(b"odd"))
                    .goes_back_from(WEB)
                    .client(tcp(client(words), WEB).syn().ip_option_words(words))
                    .goes_to(B1)
            }),
        case("options: UDP with 1 to 10 words of them, both ways")
            .given(web_udp(&[B1]))
            .each(1..=10, |case, words| {
                case.client(udp(CLIENT, WEB).ip_option_words(words).data(b"odd"))
                    .goes_to(B1)
                    .backend(udp(B1, CLIENT).ip_option_words(words))
                    .goes_back_from(WEB)
            }),
        case("options: behind tags")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().vlan(5).ip_option_words(10))
            .goes_to(B1)
            .client(tcp(OTHER_CLIENT, WEB).syn().service_vlan(9).vlan(5).ip_option_words(10))
            .goes_to(B1),
        case("options: record route and router alert are kept as they are")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().ip_options(&RECORD_ROUTE))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).syn().ack(CLIENT_SEQUENCE + 1).ip_options(&ROUTER_ALERT))
            .goes_back_from(WEB),
        case("fragments: first, middle and last pass, of TCP and UDP, also of known flows")
            .given([web(&[B1]), web_udp(&[B1])])
            .establish(CLIENT, WEB, B1)
            .each([(0, true), (1, true), (185, true), (185, false), (0x1fff, false)], |case, at| {
                let (offset, more) = at;
                case.client(tcp(CLIENT, WEB).ack(1).data(&[7; 64]).fragment(offset, more))
                    .passes(Reason::Fragment)
                    .backend(tcp(B1, CLIENT).ack(1).data(&[7; 64]).fragment(offset, more))
                    .passes(Reason::Fragment)
                    .client(udp(CLIENT, WEB).data(&[7; 64]).fragment(offset, more))
                    .passes(Reason::Fragment)
            }),
        case("fragments: a last one too short for a transport header is a fragment")
            .given(web(&[B1]))
            .client(ip_protocol(CLIENT, WEB, 6, b"end").fragment(100, false))
            .passes(Reason::Fragment),
        case("fragments: don't-fragment and the reserved bit make none")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().edit_ip(|ip| ip.dont_fragment = true))
            .goes_to(B1)
            .then("the reserved bit (RFC 3514) is set", |lab| {
                let evil = tcp(OTHER_CLIENT, WEB).syn().patch(Layer::Ip, 6, &[0x80]);
                let ran = lab.run(crate::ground::Side::Client, &evil)?;
                anyhow::ensure!(ran.reasons == [(Reason::ForwardedRedirect, 1)], "{ran:?}");
                Ok(())
            }),
        case("protocols: ICMP passes")
            .given(web(&[B1]))
            .client(ip_protocol(CLIENT, WEB, 1, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]))
            .passes(Reason::NotTcpUdp)
            .backend(ip_protocol(B1, CLIENT, 1, &[3, 3, 0, 0, 0, 0, 0, 0]))
            .passes(Reason::NotTcpUdp),
        case("protocols: all but TCP and UDP pass")
            .given([web(&[B1]), web_udp(&[B1])])
            .each((0..=255).filter(|&protocol| protocol != 6 && protocol != 17), |case, protocol| {
                case.client(ip_protocol(CLIENT, WEB, protocol, &[0; 40])).passes(Reason::NotTcpUdp)
            }),
        case("malformed: every version but 4 passes")
            .given(web(&[B1]))
            .each((0..16u8).filter(|&version| version != 4), |case, version| {
                let byte = version << 4 | 5;
                case.client(tcp(CLIENT, WEB).syn().patch(Layer::Ip, 0, &[byte]))
                    .passes(Reason::BadIpv4)
            }),
        case("malformed: a header length below 5 words passes")
            .given(web(&[B1]))
            .each(0..5u8, |case, words| {
                case.client(tcp(CLIENT, WEB).syn().patch(Layer::Ip, 0, &[0x40 | words]))
                    .passes(Reason::BadIpv4)
            }),
        case("malformed: a total length shorter than the header passes")
            .given(web(&[B1]))
            .each([0, 1, 19], |case, length| {
                case.client(tcp(CLIENT, WEB).syn().ip_length(length)).passes(Reason::BadIpv4)
            })
            .client(tcp(CLIENT, WEB).syn().ip_option_words(10).ip_length(59))
            .passes(Reason::BadIpv4),
        case("malformed: a total length beyond the frame passes")
            .given(web(&[B1]))
            .each([41, 60, 1500, 0xffff], |case, length| {
                case.client(tcp(CLIENT, WEB).syn().ip_length(length)).passes(Reason::BadIpv4)
            })
            .client(tcp(CLIENT, WEB).syn().vlan(5).ip_length(41))
            .passes(Reason::BadIpv4)
            .client(tcp(CLIENT, WEB).syn().padding(6).ip_length(47))
            .passes(Reason::BadIpv4),
        case("malformed: a header length beyond the frame passes")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().patch(Layer::Ip, 0, &[0x4b]))
            .passes(Reason::BadIpv4)
            .client(udp(CLIENT, WEB).patch(Layer::Ip, 0, &[0x4f]))
            .passes(Reason::BadIpv4),
    ]
}
