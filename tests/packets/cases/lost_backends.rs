//! Flows whose backend is down, in maintenance, removed or replaced.

use foobar_lb::model::Protocol;
use foobar_lb_common::Reason;

use crate::{
    case::{Case, case, handshake_ack, syn_ack},
    given::{Spec, service, web, web_udp},
    ground::{API, B1, B2, B3, CLIENT, OTHER_CLIENT, WEB},
    packet::{BACKEND_SEQUENCE, CLIENT_SEQUENCE, reset, tcp, udp},
};

/// A connection to B1 is established, and then this is so.
fn lost(name: &str, now: impl Into<Vec<Spec>>) -> Case {
    case(name).given(web(&[B1, B2])).establish(CLIENT, WEB, B1).now(now)
}

/// The client's next segment is answered with a reset.
fn is_reset(case: Case) -> Case {
    case.client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 1).ack(BACKEND_SEQUENCE + 1).data(b"hello?"))
        .answers(Reason::ResetBackendGone, reset(WEB, CLIENT).seq(BACKEND_SEQUENCE + 1))
}

pub(super) fn cases() -> Vec<Case> {
    let down = || web(&[B1, B2]).down(B1);
    vec![
        is_reset(lost("down: a segment of its flow is answered with a reset", down())),
        is_reset(lost("maintenance: as down", web(&[B1, B2]).maint(B1))),
        is_reset(lost("removed: as down", web(&[B2]))),
        is_reset(lost("its service removed: as down", vec![])),
        is_reset(lost("all backends down", web(&[B1, B2]).down(B1).down(B2))),
        lost("down: the reset's numbers without ACK", down())
            .client(tcp(CLIENT, WEB).psh().data(&[7; 10]))
            .answers(Reason::ResetBackendGone, reset(WEB, CLIENT).ack(CLIENT_SEQUENCE + 10))
            .client(tcp(CLIENT, WEB).fin().data(&[7; 10]))
            .answers(Reason::ResetBackendGone, reset(WEB, CLIENT).ack(CLIENT_SEQUENCE + 11)),
        lost("down: the reset keeps tags, and drops options and payload", down())
            .client(tcp(CLIENT, WEB).ack(9).vlan(5).ip_option_words(10).data(&[7; 100]))
            .answers(Reason::ResetBackendGone, reset(WEB, CLIENT).seq(9).vlan(5)),
        lost("down: a client's reset is dropped, never answered", down())
            .client(tcp(CLIENT, WEB).rst())
            .drops(Reason::BackendGone)
            .client(tcp(CLIENT, WEB).rst().ack(1))
            .drops(Reason::BackendGone),
        lost("down: a SYN moves to another backend at once", down())
            .client(tcp(CLIENT, WEB).seq(1).syn())
            .goes_to(B2)
            .backend(tcp(B2, CLIENT).seq(0x9000_0000).syn().ack(2))
            .goes_back_from(WEB)
            .client(tcp(CLIENT, WEB).seq(2).ack(0x9000_0001))
            .goes_to(B2)
            .established(CLIENT, WEB),
        lost("down: a SYN finds no other backend", web(&[B1, B2]).down(B1).down(B2))
            .client(tcp(CLIENT, WEB).seq(1).syn())
            .drops(Reason::NoBackend),
        lost("down and up again: the flow goes on", down())
            .now(web(&[B1, B2]))
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).ack(1))
            .goes_back_from(WEB),
        lost("down: what it still sends is still translated", down())
            .backend(tcp(B1, CLIENT).ack(1).data(b"last words"))
            .goes_back_from(WEB),
        case("down: a UDP flow moves to another backend with its next datagram")
            .given(web_udp(&[B1, B2]))
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .client(udp(OTHER_CLIENT, WEB))
            .goes_to(B2)
            .backend(udp(B1, CLIENT))
            .goes_back_from(WEB)
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .established_is(Protocol::Udp, CLIENT, WEB, true)
            .now(web_udp(&[B1, B2]).down(B1))
            .client(udp(CLIENT, WEB))
            .goes_to(B2)
            .backend(udp(B2, CLIENT))
            .goes_back_from(WEB)
            .client(udp(CLIENT, WEB))
            .goes_to(B2)
            .client(udp(OTHER_CLIENT, WEB))
            .goes_to(B2),
        case("down: a UDP flow without an answer moves too")
            .given(web_udp(&[B1, B2]))
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .now(web_udp(&[B1, B2]).down(B1))
            .client(udp(CLIENT, WEB))
            .goes_to(B2),
        case("down: a handshake moves with the SYN sent again, its other segments are reset")
            .given(web(&[B1, B2]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .client(tcp(OTHER_CLIENT, WEB).syn())
            .goes_to(B2)
            .now(web(&[B1, B2]).down(B1))
            .client(handshake_ack(CLIENT, WEB))
            .answers(Reason::ResetBackendGone, reset(WEB, CLIENT).seq(BACKEND_SEQUENCE + 1))
            .client(tcp(CLIENT, WEB).rst())
            .drops(Reason::BackendGone)
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B2)
            .backend(syn_ack(B2, CLIENT))
            .goes_back_from(WEB),
        is_reset(
            lost("an id given to another backend brings no flows along", web(&[B2]))
                // B3 gets the id that B1 had, with the next generation.
                .now(web(&[B2, B3]))
                .then("the id is the same one", |lab| {
                    let id = lab.backend_id(Protocol::Tcp, WEB, B3)?;
                    anyhow::ensure!(id == 0, "B3 has id {id}: the case shows nothing");
                    Ok(())
                }),
        )
        .client(tcp(OTHER_CLIENT, WEB).syn())
        .goes_to(B3),
        case("an id given to another backend: no UDP flows, no handshakes")
            .given([web(&[B1]), web_udp(&[B1])])
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .now([web(&[]), web_udp(&[])])
            .now([web(&[B2]), web_udp(&[B2])])
            .client(handshake_ack(CLIENT, WEB))
            .answers(Reason::ResetBackendGone, reset(WEB, CLIENT).seq(BACKEND_SEQUENCE + 1))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B2)
            .client(udp(CLIENT, WEB))
            .goes_to(B2),
        case("a backend removed and added again is a new one: its old flows are reset")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .now(web(&[]))
            .now(web(&[B1]))
            .client(tcp(CLIENT, WEB).ack(7))
            .answers(Reason::ResetBackendGone, reset(WEB, CLIENT).seq(7))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1),
        case("the same server down for one service goes on for another")
            .given([web(&[B1]), service(Protocol::Tcp, API, &[B1])])
            .establish(CLIENT, WEB, B1)
            .establish(OTHER_CLIENT, API, B1)
            .now([web(&[B1]).down(B1), service(Protocol::Tcp, API, &[B1])])
            .client(tcp(CLIENT, WEB).ack(7))
            .answers(Reason::ResetBackendGone, reset(WEB, CLIENT).seq(7))
            .client(tcp(OTHER_CLIENT, API).ack(7))
            .goes_to(B1),
    ]
}
