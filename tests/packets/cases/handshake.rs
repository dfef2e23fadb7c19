//! From the table of new flows to that of established ones: only by proof that the client sees the
//! backend's answers.

use foobar_lb::model::Protocol;

use crate::{
    case::{Case, case, handshake_ack, syn_ack},
    given::{web, web_udp},
    ground::{B1, B2, CLIENT, WEB},
    packet::{BACKEND_SEQUENCE, CLIENT_SEQUENCE, tcp, udp},
};

/// A case in which the client's SYN was answered.
fn answered(name: &str) -> Case {
    case(name)
        .given(web(&[B1]))
        .client(tcp(CLIENT, WEB).syn())
        .goes_to(B1)
        .backend(syn_ack(B1, CLIENT))
        .goes_back_from(WEB)
        .not_established(CLIENT, WEB)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        answered("handshake: the acknowledgement of the backend's SYN establishes the flow")
            .client(handshake_ack(CLIENT, WEB))
            .goes_to(B1)
            .established(CLIENT, WEB),
        answered("handshake: so does one that comes with data")
            .client(handshake_ack(CLIENT, WEB).psh().data(b"GET / HTTP/1.1\r\n\r\n"))
            .goes_to(B1)
            .established(CLIENT, WEB),
        answered("handshake: so does one of data that the backend sent right behind its SYN")
            .client(tcp(CLIENT, WEB).ack(BACKEND_SEQUENCE + 1 + 1460))
            .goes_to(B1)
            .established(CLIENT, WEB),
        answered("handshake: a wrong acknowledgement does not, and is forwarded all the same")
            .each(
                [
                    0,
                    1,
                    BACKEND_SEQUENCE,
                    BACKEND_SEQUENCE - 1,
                    BACKEND_SEQUENCE + 1 + 0x1_0000,
                    CLIENT_SEQUENCE + 1,
                    u32::MAX,
                ],
                |case, number| {
                    case.client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 1).ack(number))
                        .goes_to(B1)
                        .not_established(CLIENT, WEB)
                },
            )
            .client(handshake_ack(CLIENT, WEB))
            .goes_to(B1)
            .established(CLIENT, WEB),
        answered("handshake: data without an acknowledgement does not")
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 1).psh().data(b"guess"))
            .goes_to(B1)
            .not_established(CLIENT, WEB),
        answered("handshake: the backend's SYN sent again changes nothing")
            .backend(syn_ack(B1, CLIENT))
            .goes_back_from(WEB)
            .client(handshake_ack(CLIENT, WEB))
            .goes_to(B1)
            .established(CLIENT, WEB),
        case("handshake: an acknowledgement before the backend answered does not")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            // The expected number is not known yet: zero is no way in.
            .each([0, 1, BACKEND_SEQUENCE + 1], |case, number| {
                case.client(tcp(CLIENT, WEB).ack(number))
                    .goes_to(B1)
                    .not_established(CLIENT, WEB)
            }),
        case("handshake: sequence numbers that wrap around")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).seq(u32::MAX).syn())
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).seq(u32::MAX).syn().ack(0))
            .goes_back_from(WEB)
            .client(tcp(CLIENT, WEB).seq(0).ack(u32::MAX))
            .goes_to(B1)
            .not_established(CLIENT, WEB)
            .client(tcp(CLIENT, WEB).seq(0).ack(0))
            .goes_to(B1)
            .established(CLIENT, WEB),
        answered("handshake: given up and begun again, the backend's new number counts")
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 1).rst())
            .goes_to(B1)
            .client(tcp(CLIENT, WEB).seq(77).syn())
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).seq(0x9000_0000).syn().ack(78))
            .goes_back_from(WEB)
            .client(tcp(CLIENT, WEB).seq(78).ack(0x9000_0001))
            .goes_to(B1)
            .established(CLIENT, WEB),
        case("handshake: a backend's challenge acknowledgement (RFC 5961) is not its SYN")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            // It still holds the client's last connection from this port.
            .backend(tcp(B1, CLIENT).seq(0x9000_0000).ack(5))
            .goes_back_from(WEB)
            .client(tcp(CLIENT, WEB).seq(5).rst())
            .goes_to(B1)
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .backend(syn_ack(B1, CLIENT))
            .goes_back_from(WEB)
            .client(handshake_ack(CLIENT, WEB))
            .goes_to(B1)
            .established(CLIENT, WEB),
        case("handshake: both directions are remembered, in both tables")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .then("both entries", |lab| {
                let there = lab.flow(Protocol::Tcp, CLIENT, WEB, true)?;
                let back = lab.flow(Protocol::Tcp, B1, CLIENT, true)?;
                anyhow::ensure!(there.is_some() && back.is_some(), "{there:?} {back:?}");
                anyhow::ensure!(lab.dataplane.flows()?.len() == 4, "{:?}", lab.dataplane.flows()?);
                Ok(())
            }),
        case("udp: established by the client's first datagram after an answer")
            .given(web_udp(&[B1, B2]))
            .each(0..3, |case, _| case.client(udp(CLIENT, WEB)).goes_to(B1))
            .established_is(Protocol::Udp, CLIENT, WEB, false)
            .each(0..2, |case, _| case.backend(udp(B1, CLIENT)).goes_back_from(WEB))
            .established_is(Protocol::Udp, CLIENT, WEB, false)
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .established_is(Protocol::Udp, CLIENT, WEB, true)
            .backend(udp(B1, CLIENT))
            .goes_back_from(WEB),
    ]
}
