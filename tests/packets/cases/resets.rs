//! Segments of connections that nobody holds: answered with a reset (RFC 9293 section 3.10.7.1).

use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::web,
    ground::{B1, CLIENT, Side, WEB, mac_of},
    packet::{CLIENT_SEQUENCE, Packet, reset, tcp},
};

const ACKNOWLEDGED: u32 = 0x1234_5678;

/// A segment of no known flow, and the answer.
fn answered(name: &str, segment: Packet, answer: Packet) -> Case {
    case(format!("no flow: {name}"))
        .given(web(&[B1]))
        .client(segment)
        .answers(Reason::ResetNoFlow, answer)
        .then("no flow is remembered", |lab| {
            anyhow::ensure!(lab.dataplane.flows()?.is_empty());
            Ok(())
        })
}

pub(super) fn cases() -> Vec<Case> {
    let ack = || tcp(CLIENT, WEB).ack(ACKNOWLEDGED);
    let plain = || reset(WEB, CLIENT).seq(ACKNOWLEDGED);
    let acknowledging = |bytes: u32| reset(WEB, CLIENT).ack(CLIENT_SEQUENCE.wrapping_add(bytes));
    vec![
        answered(
            "an acknowledgement is answered with a reset at its number",
            ack().macs(mac_of(CLIENT.address), Side::Client.mac()),
            plain().macs(Side::Client.mac(), mac_of(CLIENT.address)),
        ),
        answered("the payload is cut off", ack().psh().data(&[7; 1000]), plain()),
        answered("an odd payload is cut off", ack().data(b"odd"), plain()),
        answered("TCP options are cut off", ack().tcp_options(&[1; 40]), plain()),
        answered("IPv4 options are cut off", ack().ip_option_words(10), plain()),
        answered(
            "options of both kinds and data are cut off",
            ack().ip_option_words(3).tcp_options(&[1; 12]).data(b"data"),
            plain(),
        ),
        answered("padding is cut off", ack().padding(6), plain()),
        answered("one tag stays", ack().vlan(5).data(b"data"), plain().vlan(5)),
        answered(
            "two tags stay",
            ack().tag(0x88a8, 3, 100).tag(0x8100, 5, 5),
            plain().tag(0x88a8, 3, 100).tag(0x8100, 5, 5),
        ),
        answered("tags and options together", ack().vlan(5).ip_option_words(10), plain().vlan(5)),
        answered(
            "TTL, type of service and identification are our own",
            ack().ttl(1).tos(0xff).ident(0xffff).window(0),
            plain(),
        ),
        answered("a SYN with an acknowledgement", ack().syn(), plain()),
        answered("a FIN with an acknowledgement", ack().fin(), plain()),
        answered(
            "without ACK: the answer acknowledges the FIN",
            tcp(CLIENT, WEB).fin(),
            acknowledging(1),
        ),
        answered(
            "without ACK: the answer acknowledges data and FIN",
            tcp(CLIENT, WEB).fin().data(&[7; 99]),
            acknowledging(100),
        ),
        answered(
            "without ACK: neither options nor padding are data",
            tcp(CLIENT, WEB).fin().ip_option_words(10).tcp_options(&[1; 40]).data(b"a").padding(9),
            acknowledging(2),
        ),
        answered(
            "without ACK: numbers that wrap around",
            tcp(CLIENT, WEB).seq(u32::MAX).fin().data(b"a"),
            reset(WEB, CLIENT).ack(1),
        ),
        case("no flow: checksums of the answer, for many numbers and ports")
            .given(web(&[B1]))
            .each(0..200u32, |case, i| {
                let client = CLIENT.port(1 + 311 * i as u16);
                let number = i.wrapping_mul(0x9e37_79b9);
                case.client(tcp(client, WEB).ack(number))
                    .answers(Reason::ResetNoFlow, reset(WEB, client).seq(number))
                    .client(tcp(client, WEB).seq(number).fin())
                    .answers(Reason::ResetNoFlow, reset(WEB, client).ack(number.wrapping_add(1)))
            }),
        case("no flow: a reset is never answered")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).rst())
            .drops(Reason::NoFlow)
            .client(tcp(CLIENT, WEB).rst().ack(1))
            .drops(Reason::NoFlow),
        case("no flow: also for a service without a backend")
            .given(web(&[]))
            .client(ack())
            .answers(Reason::ResetNoFlow, plain()),
    ]
}
