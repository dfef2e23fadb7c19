//! The same backend behind two services, and a client that uses the same port for both: on the
//! backend's side the two connections would be one.

use foobar_lb::model::Protocol;
use foobar_lb_common::Reason;

use crate::{
    case::{Case, case, handshake_ack, syn_ack},
    given::{Spec, service, web, web_udp},
    ground::{API, At, B1, B2, CLIENT, WEB},
    packet::{BACKEND_SEQUENCE, CLIENT_SEQUENCE, tcp, udp},
};

fn both(web_backends: &[At], api_backends: &[At]) -> [Spec; 2] {
    [web(web_backends), service(Protocol::Tcp, API, api_backends)]
}

/// The connection between the client and B1 through WEB ends in good order.
fn close(case: Case) -> Case {
    case.client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 1).fin().ack(BACKEND_SEQUENCE + 1))
        .goes_to(B1)
        .backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).fin().ack(CLIENT_SEQUENCE + 2))
        .goes_back_from(WEB)
        .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 2).ack(BACKEND_SEQUENCE + 2))
        .goes_to(B1)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("collision: the second service gives another backend")
            .given(both(&[B1], &[B1, B2]))
            .establish(CLIENT, WEB, B1)
            .establish(CLIENT, API, B2)
            .backend(tcp(B1, CLIENT).ack(1))
            .goes_back_from(WEB)
            .backend(tcp(B2, CLIENT).ack(1))
            .goes_back_from(API)
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1)
            .client(tcp(CLIENT, API).ack(1))
            .goes_to(B2),
        case("collision: with one backend only, the second connection is dropped")
            .given(both(&[B1], &[B1]))
            .establish(CLIENT, WEB, B1)
            .client(tcp(CLIENT, API).syn())
            .drops(Reason::PortCollision)
            .client(tcp(CLIENT.port(40_001), API).syn())
            .goes_to(B1)
            // The first one is unharmed.
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).ack(1))
            .goes_back_from(WEB),
        case("collision: a handshake counts as well")
            .given(both(&[B1], &[B1]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .client(tcp(CLIENT, API).syn())
            .drops(Reason::PortCollision)
            .backend(syn_ack(B1, CLIENT))
            .goes_back_from(WEB)
            .client(handshake_ack(CLIENT, WEB))
            .goes_to(B1)
            .established(CLIENT, WEB),
        close(
            case("collision: over as soon as the first connection is closed")
                .given(both(&[B1], &[B1]))
                .establish(CLIENT, WEB, B1)
                .client(tcp(CLIENT, API).syn())
                .drops(Reason::PortCollision),
        )
        .establish(CLIENT, API, B1)
        .backend(tcp(B1, CLIENT).ack(1))
        .goes_back_from(API),
        case("collision: over as soon as the first connection is reset")
            .given(both(&[B1], &[B1]))
            .establish(CLIENT, WEB, B1)
            .backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).rst())
            .goes_back_from(WEB)
            .establish(CLIENT, API, B1),
        close(
            case("collision: taken over, the first service's next connection does not harm it")
                .given(both(&[B1], &[B1]))
                .establish(CLIENT, WEB, B1),
        )
        .establish(CLIENT, API, B1)
        .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 100_000).syn())
        .drops(Reason::PortCollision)
        .backend(tcp(B1, CLIENT).ack(1))
        .goes_back_from(API)
        .client(tcp(CLIENT, API).ack(1))
        .goes_to(B1),
        close(
            case("collision: taken over, the first connection's stragglers do not reach the second")
                .given(both(&[B1], &[B1]))
                .establish(CLIENT, WEB, B1),
        )
        .establish(CLIENT, API, B1)
        .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 2).rst())
        .drops(Reason::NoFlow)
        .client(tcp(CLIENT, API).ack(1))
        .goes_to(B1)
        .client(tcp(CLIENT, API).seq(7).syn())
        .goes_to(B1),
        case("collision: a refused connection holds nothing")
            .given(both(&[B1], &[B1]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).seq(0).rst().ack(CLIENT_SEQUENCE + 1))
            .goes_back_from(WEB)
            .establish(CLIENT, API, B1),
        case("collision: UDP, other backend and none")
            .given([
                web_udp(&[B1]),
                service(Protocol::Udp, API, &[B1, B2]),
                service(Protocol::Udp, API.port(53), &[B1]),
            ])
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .client(udp(CLIENT, API))
            .goes_to(B2)
            .client(udp(CLIENT, API.port(53)))
            .drops(Reason::PortCollision)
            .backend(udp(B1, CLIENT))
            .goes_back_from(WEB)
            .backend(udp(B2, CLIENT))
            .goes_back_from(API),
        case("no collision: TCP and UDP with the same addresses and ports")
            .given([web(&[B1]), service(Protocol::Udp, API, &[B1])])
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .client(udp(CLIENT, API))
            .goes_to(B1),
        case("no collision: the services' backends have ports of their own")
            .given(both(&[B1], &[B1.port(8081)]))
            .establish(CLIENT, WEB, B1)
            .establish(CLIENT, API, B1.port(8081)),
        case("no collision: the same connection begun again")
            .given(both(&[B1], &[B1]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1),
    ]
}
