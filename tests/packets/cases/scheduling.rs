//! Which backend a new flow gets, and that it keeps it.

use anyhow::ensure;
use foobar_lb::model::Protocol;
use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::{service, web, web_udp},
    ground::{API, At, B1, B2, B3, CLIENT, OTHER_CLIENT, WEB},
    packet::{tcp, udp},
};

/// The `i`th client port.
fn nth(i: u16) -> At {
    CLIENT.port(10_000 + i)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("round-robin: 300 flows over three backends, in turn and exactly equal")
            .given(web(&[B1, B2, B3]))
            .each(0..300u16, |case, i| {
                let backend = [B1, B2, B3][usize::from(i) % 3];
                case.client(tcp(nth(i), WEB).syn()).goes_to(backend)
            })
            .then("each backend has 100 flows", |lab| {
                for backend in [B1, B2, B3] {
                    let traffic = lab.backend_traffic(Protocol::Tcp, WEB, backend)?;
                    ensure!(traffic.new_flows == 100, "{backend:?}: {traffic:?}");
                }
                Ok(())
            }),
        case("round-robin: UDP flows too")
            .given(web_udp(&[B1, B2, B3]))
            .each(0..30u16, |case, i| {
                case.client(udp(nth(i), WEB)).goes_to([B1, B2, B3][usize::from(i) % 3])
            }),
        case("round-robin: every service has its own turn")
            .given([web(&[B1, B2]), service(Protocol::Tcp, API, &[B1, B2])])
            .client(tcp(nth(0), WEB).syn())
            .goes_to(B1)
            .client(tcp(nth(1), API).syn())
            .goes_to(B1)
            .client(tcp(nth(2), WEB).syn())
            .goes_to(B2)
            .client(tcp(nth(3), API).syn())
            .goes_to(B2),
        case("round-robin: packets of known flows take no turn")
            .given(web(&[B1, B2]))
            .client(tcp(nth(0), WEB).syn())
            .goes_to(B1)
            .each(0..5, |case, _| case.client(tcp(nth(0), WEB).ack(1)).goes_to(B1))
            .client(tcp(nth(1), WEB).syn())
            .goes_to(B2),
        case("stick: a SYN sent again goes to the same backend, and is no second flow")
            .given(web(&[B1, B2, B3]))
            .each(0..3, |case, _| case.client(tcp(CLIENT, WEB).syn()).goes_to(B1))
            .then("one flow", |lab| {
                let traffic = lab.backend_traffic(Protocol::Tcp, WEB, B1)?;
                ensure!(traffic.new_flows == 1 && traffic.packets_in == 3, "{traffic:?}");
                Ok(())
            }),
        case("stick: every packet of a connection goes to the same backend")
            .given(web(&[B1, B2, B3]))
            .establish(CLIENT, WEB, B1)
            .establish(OTHER_CLIENT, WEB, B2)
            .each(0..5, |case, _| {
                case.client(tcp(CLIENT, WEB).ack(1).data(b"a"))
                    .goes_to(B1)
                    .client(tcp(OTHER_CLIENT, WEB).ack(1).data(b"b"))
                    .goes_to(B2)
            }),
        case("stick: every datagram of a UDP flow goes to the same backend")
            .given(web_udp(&[B1, B2, B3]))
            .each(0..3, |case, _| case.client(udp(CLIENT, WEB).data(b"?")).goes_to(B1))
            .backend(udp(B1, CLIENT).data(b"!"))
            .goes_back_from(WEB)
            .each(0..3, |case, _| case.client(udp(CLIENT, WEB).data(b"?")).goes_to(B1)),
        case("stick: also when backends are added, reordered and removed around it")
            .given([web(&[B1]), web_udp(&[B1])])
            .establish(CLIENT, WEB, B1)
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .client(tcp(OTHER_CLIENT, WEB).syn())
            .goes_to(B1)
            .now([web(&[B2, B3, B1]), web_udp(&[B2, B1])])
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1)
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .client(tcp(OTHER_CLIENT, WEB).syn())
            .goes_to(B1)
            .now([web(&[B1, B3]), web_udp(&[B1])])
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).ack(1))
            .goes_back_from(WEB),
        case("stick: also when other services come and go")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .now([service(Protocol::Tcp, API, &[B2]), web(&[B1])])
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1)
            .now(web(&[B1]))
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1),
        case("a new backend gets its share of new flows at once")
            .given(web(&[B1]))
            .client(tcp(nth(0), WEB).syn())
            .goes_to(B1)
            .now(web(&[B1, B2]))
            .client(tcp(nth(1), WEB).syn())
            .goes_to(B2)
            .client(tcp(nth(2), WEB).syn())
            .goes_to(B1),
        case("drain: keeps its flows, gets no new ones")
            .given([web(&[B1, B2]), web_udp(&[B1, B2])])
            .establish(CLIENT, WEB, B1)
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .now([web(&[B1, B2]).drain(B1), web_udp(&[B1, B2]).drain(B1)])
            .client(tcp(CLIENT, WEB).ack(1).data(b"still here"))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).ack(1).data(b"me too"))
            .goes_back_from(WEB)
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .each(0..6, |case, i| {
                case.client(tcp(nth(i), WEB).syn())
                    .goes_to(B2)
                    .client(udp(nth(i), WEB))
                    .goes_to(B2)
            }),
        case("drain: a handshake that is under way may finish")
            .given(web(&[B1, B2]))
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .now(web(&[B1, B2]).drain(B1))
            .backend(crate::case::syn_ack(B1, CLIENT))
            .goes_back_from(WEB)
            .client(crate::case::handshake_ack(CLIENT, WEB))
            .goes_to(B1)
            .established(CLIENT, WEB),
        case("weight 0: as drained")
            .given(web(&[B1, B2]))
            .establish(CLIENT, WEB, B1)
            .now(web(&[B1, B2]).weightless(B1))
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1)
            .each(0..4, |case, i| case.client(tcp(nth(i), WEB).syn()).goes_to(B2)),
        case("down: gets no new flow")
            .given([web(&[B1, B2]).down(B1), web_udp(&[B1, B2]).down(B1)])
            .each(0..4, |case, i| {
                case.client(tcp(nth(i), WEB).syn())
                    .goes_to(B2)
                    .client(udp(nth(i), WEB))
                    .goes_to(B2)
            })
            .now([web(&[B1, B2]), web_udp(&[B1, B2])])
            .client(tcp(nth(10), WEB).syn())
            .goes_to(B1)
            .client(tcp(nth(11), WEB).syn())
            .goes_to(B2),
        case("no backend: all down, all draining, all in maintenance, or none configured")
            .given([web(&[B1, B2]).down(B1).down(B2), web_udp(&[B1]).maint(B1)])
            .client(tcp(CLIENT, WEB).syn())
            .drops(Reason::NoBackend)
            .client(udp(CLIENT, WEB))
            .drops(Reason::NoBackend)
            .now([web(&[B1, B2]).drain(B1).drain(B2), web_udp(&[])])
            .client(tcp(CLIENT, WEB).syn())
            .drops(Reason::NoBackend)
            .client(udp(CLIENT, WEB))
            .drops(Reason::NoBackend)
            .now([web(&[B1, B2]), web_udp(&[B1])])
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .client(udp(CLIENT, WEB))
            .goes_to(B1),
    ]
}
