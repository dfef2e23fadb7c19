//! Traffic by service and backend: flows, packets and bytes, both directions, exact.

use foobar_lb::model::Protocol::{Tcp, Udp};
use foobar_lb_common::{Reason, map::Traffic};

use crate::{
    case::{Case, case},
    given::{service, web, web_udp},
    ground::{API, B1, B2, CLIENT, OTHER_CLIENT, SILENT, WEB},
    packet::{BACKEND_SEQUENCE, CLIENT_SEQUENCE, reset, tcp, udp},
};

const NOTHING: Traffic = Traffic {
    new_flows: 0,
    refused: 0,
    packets_in: 0,
    bytes_in: 0,
    packets_out: 0,
    bytes_out: 0,
};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("traffic: flows, packets and bytes of a service and its backends")
            .given([web(&[B1, B2]), service(Tcp, API, &[B1])])
            // 54 bytes a packet without data: in 54, out 54, in 54.
            .establish(CLIENT, WEB, B1)
            .client(tcp(CLIENT, WEB).ack(1).data(&[7; 100]))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).ack(1).data(&[7; 1000]))
            .goes_back_from(WEB)
            .client(tcp(OTHER_CLIENT, WEB).syn())
            .goes_to(B2)
            .traffic(Tcp, WEB, Some(B1), Traffic {
                new_flows: 1,
                packets_in: 3,
                bytes_in: 54 + 54 + 154,
                packets_out: 2,
                bytes_out: 54 + 1054,
                ..NOTHING
            })
            .traffic(Tcp, WEB, Some(B2), Traffic {
                new_flows: 1,
                packets_in: 1,
                bytes_in: 54,
                ..NOTHING
            })
            .traffic(Tcp, WEB, None, Traffic {
                new_flows: 2,
                packets_in: 4,
                bytes_in: 54 + 54 + 154 + 54,
                packets_out: 2,
                bytes_out: 54 + 1054,
                ..NOTHING
            })
            .traffic(Tcp, API, None, NOTHING)
            .traffic(Tcp, API, Some(B1), NOTHING),
        case("traffic: bytes are those of the frame: tags and padding too")
            .given(web_udp(&[B1]))
            .client(udp(CLIENT, WEB).data(b"?").service_vlan(9).vlan(5).padding(9))
            .goes_to(B1)
            .traffic(Udp, WEB, Some(B1), Traffic {
                new_flows: 1,
                packets_in: 1,
                bytes_in: 14 + 8 + 20 + 8 + 1 + 9,
                ..NOTHING
            }),
        case("traffic: what is left to the kernel after the rewrite counts")
            .given(web(&[SILENT]))
            .client(tcp(CLIENT, WEB).syn())
            .leaves_to_kernel(Reason::KernelNoNeighbour, tcp(CLIENT, SILENT).syn())
            .traffic(Tcp, WEB, Some(SILENT), Traffic {
                new_flows: 1,
                packets_in: 1,
                bytes_in: 54,
                ..NOTHING
            }),
        case("traffic: what is dropped, answered or passed does not count")
            .given(web(&[B1, B2]))
            .client(tcp(CLIENT, WEB).ack(7))
            .answers(Reason::ResetNoFlow, reset(WEB, CLIENT).seq(7))
            .client(tcp(CLIENT, WEB).flags(0))
            .drops(Reason::BadFlags)
            .client(tcp(CLIENT, WEB.port(22)).syn())
            .passes(Reason::NotService)
            .traffic(Tcp, WEB, None, NOTHING),
        case("traffic: a flow that moves to another backend is a flow of both")
            .given(web_udp(&[B1, B2]))
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .now(web_udp(&[B1, B2]).down(B1))
            .client(udp(CLIENT, WEB))
            .goes_to(B2)
            .traffic(Udp, WEB, None, Traffic {
                new_flows: 2,
                packets_in: 2,
                bytes_in: 84,
                ..NOTHING
            })
            .traffic(Udp, WEB, Some(B2), Traffic {
                new_flows: 1,
                packets_in: 1,
                bytes_in: 42,
                ..NOTHING
            }),
        case("traffic: a backend that gets a used id starts from zero")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .now(web(&[]))
            .now(web(&[B2]))
            .traffic(Tcp, WEB, Some(B2), NOTHING)
            .traffic(Tcp, WEB, None, Traffic {
                new_flows: 1,
                packets_in: 2,
                bytes_in: 108,
                packets_out: 1,
                bytes_out: 54,
                ..NOTHING
            }),
        case("traffic: refusals are counted once a connection and backend")
            .given(web(&[B1]))
            .each(0..2, |case, _| case.client(tcp(CLIENT, WEB).syn()).goes_to(B1))
            .each(0..2, |case, _| {
                case.backend(tcp(B1, CLIENT).seq(0).rst().ack(CLIENT_SEQUENCE + 1))
                    .goes_back_from(WEB)
            })
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).seq(0).rst().ack(CLIENT_SEQUENCE + 1))
            .goes_back_from(WEB)
            // Neither the end of an established connection nor one's own reset is a refusal.
            .establish(OTHER_CLIENT, WEB, B1)
            .backend(tcp(B1, OTHER_CLIENT).seq(BACKEND_SEQUENCE + 1).rst())
            .goes_back_from(WEB)
            .then("two refusals", |lab| {
                let service = lab.service_traffic(Tcp, WEB)?;
                let backend = lab.backend_traffic(Tcp, WEB, B1)?;
                anyhow::ensure!(service.refused == 2 && service == backend, "{service:?}");
                Ok(())
            }),
    ]
}
