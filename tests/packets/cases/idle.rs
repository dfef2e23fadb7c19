//! Flows without a packet for long. (The clock is the kernel's: the entries are made older.)

use foobar_lb::model::Protocol::{Tcp, Udp};
use foobar_lb_common::Reason;

use crate::{
    case::{
        Case,
        Table::{Established, New},
        case,
    },
    given::{service, web, web_udp},
    ground::{API, B1, B2, CLIENT, WEB},
    packet::{tcp, udp},
};

/// A UDP flow to B1 is established, and B2 is next in turn.
fn udp_flow(name: &str) -> Case {
    case(name)
        .given(web_udp(&[B1, B2]))
        .client(udp(CLIENT, WEB))
        .goes_to(B1)
        .backend(udp(B1, CLIENT))
        .goes_back_from(WEB)
        .client(udp(CLIENT, WEB))
        .goes_to(B1)
        .established_is(Udp, CLIENT, WEB, true)
}

fn tcp_flow(name: &str) -> Case {
    case(name).given(web(&[B1, B2])).establish(CLIENT, WEB, B1)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        tcp_flow("idle TCP: after 15 minutes a SYN starts afresh")
            .silent(Tcp, CLIENT, WEB, Established, 905)
            .silent(Tcp, B1, CLIENT, Established, 905)
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B2),
        tcp_flow("idle TCP: before that it does not")
            .silent(Tcp, CLIENT, WEB, Established, 890)
            .silent(Tcp, B1, CLIENT, Established, 890)
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1),
        tcp_flow("idle TCP: any other segment goes on, however late")
            .silent(Tcp, CLIENT, WEB, Established, 100_000)
            .silent(Tcp, B1, CLIENT, Established, 100_000)
            .client(tcp(CLIENT, WEB).ack(1).data(b"good morning"))
            .goes_to(B1)
            .silent(Tcp, B1, CLIENT, Established, 100_000)
            .backend(tcp(B1, CLIENT).ack(1).data(b"good morning"))
            .goes_back_from(WEB),
        tcp_flow("idle TCP: not while the backend still sends")
            .silent(Tcp, CLIENT, WEB, Established, 905)
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1),
        udp_flow("idle UDP: after two minutes it is scheduled anew")
            .silent(Udp, CLIENT, WEB, Established, 125)
            .silent(Udp, B1, CLIENT, Established, 125)
            .client(udp(CLIENT, WEB))
            .goes_to(B2)
            .backend(udp(B2, CLIENT))
            .goes_back_from(WEB),
        udp_flow("idle UDP: before that it is not")
            .silent(Udp, CLIENT, WEB, Established, 115)
            .silent(Udp, B1, CLIENT, Established, 115)
            .client(udp(CLIENT, WEB))
            .goes_to(B1),
        udp_flow("idle UDP: not while the backend still sends")
            .silent(Udp, CLIENT, WEB, Established, 125)
            .client(udp(CLIENT, WEB))
            .goes_to(B1),
        case("idle UDP: without an answer, too")
            .given(web_udp(&[B1, B2]))
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .silent(Udp, CLIENT, WEB, New, 115)
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .silent(Udp, CLIENT, WEB, New, 125)
            .client(udp(CLIENT, WEB))
            .goes_to(B2),
        case("idle handshake: after a minute a SYN starts afresh, before that it does not")
            .given(web(&[B1, B2]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .silent(Tcp, CLIENT, WEB, New, 55)
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .silent(Tcp, CLIENT, WEB, New, 65)
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B2),
        case("idle collision: the other service's connection is over when both sides are silent")
            .given([web(&[B1]), service(Tcp, API, &[B1])])
            .establish(CLIENT, WEB, B1)
            .silent(Tcp, B1, CLIENT, Established, 905)
            .client(tcp(CLIENT, API).syn())
            .drops(Reason::PortCollision)
            .silent(Tcp, CLIENT, WEB, Established, 905)
            .establish(CLIENT, API, B1)
            .client(tcp(CLIENT, WEB).ack(1))
            .answers(Reason::ResetNoFlow, crate::packet::reset(WEB, CLIENT).seq(1)),
        case("idle collision: a one-way UDP flow that goes on keeps its ports")
            .given([web_udp(&[B1]), service(Udp, API, &[B1])])
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .silent(Udp, B1, CLIENT, New, 1000)
            .client(udp(CLIENT, API))
            .drops(Reason::PortCollision)
            .client(udp(CLIENT, WEB))
            .goes_to(B1),
    ]
}
