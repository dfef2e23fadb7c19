//! The end of a connection, and a new one with the same addresses and ports.

use foobar_lb_common::Reason;

use crate::{
    case::{Case, case, handshake_ack, syn_ack},
    given::web,
    ground::{B1, B2, CLIENT, OTHER_CLIENT, WEB},
    packet::{BACKEND_SEQUENCE, CLIENT_SEQUENCE, tcp},
};

/// A connection to B1 is established, and B2 is next in turn.
fn open(name: &str) -> Case {
    case(name).given(web(&[B1, B2])).establish(CLIENT, WEB, B1)
}

fn client_fin(case: Case) -> Case {
    case.client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 1).fin().ack(BACKEND_SEQUENCE + 1))
        .goes_to(B1)
}

fn backend_fin(case: Case) -> Case {
    case.backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).fin().ack(CLIENT_SEQUENCE + 2))
        .goes_back_from(WEB)
}

/// A new connection with the same addresses and ports, on the other backend.
fn afresh(case: Case) -> Case {
    case.client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 100_000).syn())
        .goes_to(B2)
        .backend(tcp(B2, CLIENT).seq(0x9000_0000).syn().ack(CLIENT_SEQUENCE + 100_001))
        .goes_back_from(WEB)
        .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 100_001).ack(0x9000_0001).data(b"again"))
        .goes_to(B2)
        .established(CLIENT, WEB)
        .backend(tcp(B2, CLIENT).seq(0x9000_0001).ack(CLIENT_SEQUENCE + 100_006).data(b"hello"))
        .goes_back_from(WEB)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        afresh(backend_fin(client_fin(open("closed, client first: a SYN starts afresh")))),
        afresh(client_fin(backend_fin(open("closed, backend first: a SYN starts afresh")))),
        afresh(
            open("closed by the client's reset: a SYN starts afresh")
                .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 1).rst())
                .goes_to(B1),
        ),
        afresh(
            open("closed by the backend's reset: a SYN starts afresh")
                .backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).rst())
                .goes_back_from(WEB),
        ),
        client_fin(open("half closed by the client: a SYN does not start afresh"))
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 100_000).syn())
            .goes_to(B1),
        backend_fin(open("half closed by the backend: a SYN does not start afresh"))
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 100_000).syn())
            .goes_to(B1),
        open("open: a SYN does not start afresh; the backend answers it (RFC 5961)")
            .client(tcp(CLIENT, WEB).seq(1).syn())
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).ack(CLIENT_SEQUENCE + 1))
            .goes_back_from(WEB)
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B1),
        client_fin(open("half closed by the client: the backend may still send for long"))
            .each(0..3, |case, _| {
                case.backend(tcp(B1, CLIENT).ack(CLIENT_SEQUENCE + 2).data(b"more"))
                    .goes_back_from(WEB)
                    .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 2).ack(BACKEND_SEQUENCE + 5))
                    .goes_to(B1)
            }),
        backend_fin(client_fin(open("closed: the last acknowledgements still get through")))
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 2).ack(BACKEND_SEQUENCE + 2))
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).fin().ack(CLIENT_SEQUENCE + 2))
            .goes_back_from(WEB),
        backend_fin(client_fin(open("closed: no SYN goes to a draining backend, sent twice")))
            .now(web(&[B1, B2]).drain(B1).down(B2))
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 100_000).syn())
            .drops(Reason::NoBackend)
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 100_000).syn())
            .drops(Reason::NoBackend),
        backend_fin(client_fin(open("closed: a late FIN after a new SYN is still the old flow's")))
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE + 100_000).syn())
            .goes_to(B2)
            .backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).fin().ack(CLIENT_SEQUENCE + 2))
            .passes(Reason::NotService)
            .backend(syn_ack(B2, CLIENT))
            .goes_back_from(WEB)
            .client(handshake_ack(CLIENT, WEB))
            .goes_to(B2)
            .established(CLIENT, WEB),
        open("another connection from the same host is none of its business")
            .establish(OTHER_CLIENT, WEB, B2)
            .client(tcp(OTHER_CLIENT, WEB).rst())
            .goes_to(B2)
            .client(tcp(CLIENT, WEB).seq(9).syn())
            .goes_to(B1),
    ]
}
