//! A backend that refuses a connection: the client's next SYN goes to another one, a few times.

use foobar_lb_common::Reason;

use crate::{
    case::{Case, case, handshake_ack, syn_ack},
    given::{web, web_udp},
    ground::{At, B1, B2, B3, CLIENT, WEB},
    packet::{BACKEND_SEQUENCE, CLIENT_SEQUENCE, Packet, tcp, udp},
};

/// What a server without a listener answers to a SYN.
fn refusal(backend: At) -> Packet {
    tcp(backend, CLIENT).seq(0).rst().ack(CLIENT_SEQUENCE + 1).window(0)
}

/// What the client sees instead: an acknowledgement of nothing that it sent, at which it sends its
/// SYN again (RFC 9293 section 3.10.7.3).
fn try_again() -> Packet {
    tcp(WEB, CLIENT).seq(0).ack(CLIENT_SEQUENCE).window(0).ttl(63)
}

fn syn() -> Packet {
    tcp(CLIENT, WEB).syn()
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("refused: withheld from the client, whose next SYN goes to another backend")
            .given(web(&[B1, B2]))
            .client(syn())
            .goes_to(B1)
            .backend(refusal(B1))
            .redirects(try_again())
            // What a client answers to the acknowledgement that it cannot accept.
            .client(tcp(CLIENT, WEB).seq(CLIENT_SEQUENCE).rst())
            .goes_to(B1)
            .client(syn())
            .goes_to(B2)
            .backend(syn_ack(B2, CLIENT))
            .goes_back_from(WEB)
            .client(handshake_ack(CLIENT, WEB))
            .goes_to(B2)
            .established(CLIENT, WEB),
        case("refused: the backend is avoided even when it is next in turn")
            .given(web(&[B1, B2]))
            .client(syn())
            .goes_to(B1)
            .client(tcp(CLIENT.port(1), WEB).syn())
            .goes_to(B2)
            .backend(refusal(B1))
            .redirects(try_again())
            .client(syn())
            .goes_to(B2),
        case("refused: after two other backends the client is told, and may begin again")
            .given(web(&[B1, B2, B3]))
            .client(syn())
            .goes_to(B1)
            .backend(refusal(B1))
            .redirects(try_again())
            .client(syn())
            .goes_to(B2)
            .backend(refusal(B2))
            .redirects(try_again())
            .client(syn())
            .goes_to(B3)
            .backend(refusal(B3))
            .goes_back_from(WEB)
            .client(syn())
            .goes_to(B1)
            .backend(refusal(B1))
            .redirects(try_again()),
        case("refused: by the only backend: the client is told at once")
            .given(web(&[B1]))
            .client(syn())
            .goes_to(B1)
            .backend(refusal(B1))
            .goes_back_from(WEB)
            .client(syn())
            .goes_to(B1)
            .backend(refusal(B1))
            .goes_back_from(WEB),
        case("refused: by the only backend that is left: the client is told at once")
            .given(web(&[B1, B2, B3]))
            .client(syn())
            .goes_to(B1)
            .now(web(&[B1, B2, B3]).down(B2).drain(B3))
            .backend(refusal(B1))
            .goes_back_from(WEB),
        case("refused: the request to try again keeps tags, options and padding")
            .given(web(&[B1, B2]))
            .client(syn().vlan(5))
            .goes_to(B1)
            .backend(refusal(B1).vlan(5).ip_option_words(2).tcp_options(&[1; 12]).padding(9))
            .redirects(try_again().vlan(5).ip_option_words(2).tcp_options(&[1; 12]).padding(9)),
        case("refused: the request to try again has no flag but ACK, and numbers may wrap around")
            .given(web(&[B1, B2]))
            .each((0..).zip([0, 1, 2, 0x1_0000, 0xffff_0000, u32::MAX]), |case, (i, at)| {
                let client = CLIENT.port(20_000 + i);
                let backend = [B1, B2][usize::from(i) % 2];
                let refusal = tcp(backend, client).flags(0xed).edit_tcp(|tcp| tcp.ack = true);
                let try_again = tcp(WEB, client).ack(at.wrapping_sub(1)).ttl(63);
                case.client(tcp(client, WEB).seq(at.wrapping_sub(1)).syn())
                    .goes_to(backend)
                    .backend(refusal.edit_tcp(|tcp| tcp.acknowledgment_number = at))
                    .redirects(try_again)
            }),
        case("refused: twice the same answer is withheld twice")
            .given(web(&[B1, B2]))
            .client(syn())
            .goes_to(B1)
            .client(syn())
            .goes_to(B1)
            .backend(refusal(B1))
            .redirects(try_again())
            .backend(refusal(B1))
            .redirects(try_again())
            .client(syn())
            .goes_to(B2),
        case("refused: an answer that comes after the next SYN does not count against its backend")
            .given(web(&[B1, B2]))
            .client(syn())
            .goes_to(B1)
            .backend(refusal(B1))
            .redirects(try_again())
            .client(syn())
            .goes_to(B2)
            .backend(refusal(B1))
            .passes(Reason::NotService)
            .client(syn())
            .goes_to(B2),
        case("refused: by a backend whose old connection lingers (RFC 5961), only after its reset")
            .given(web(&[B1, B2]))
            .client(syn())
            .goes_to(B1)
            .backend(tcp(B1, CLIENT).seq(0x9000_0000).ack(5))
            .goes_back_from(WEB)
            .client(tcp(CLIENT, WEB).seq(5).rst())
            .goes_to(B1)
            .client(syn())
            .goes_to(B1)
            .backend(refusal(B1))
            .redirects(try_again())
            .client(syn())
            .goes_to(B2),
        case("not refused: a reset after the backend's SYN goes through")
            .given(web(&[B1, B2]))
            .client(syn())
            .goes_to(B1)
            .backend(syn_ack(B1, CLIENT))
            .goes_back_from(WEB)
            .backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).rst().ack(CLIENT_SEQUENCE + 1))
            .goes_back_from(WEB),
        case("not refused: a reset in an established connection goes through")
            .given(web(&[B1, B2]))
            .establish(CLIENT, WEB, B1)
            .backend(tcp(B1, CLIENT).seq(BACKEND_SEQUENCE + 1).rst())
            .goes_back_from(WEB),
        case("not refused: UDP knows no resets")
            .given(web_udp(&[B1, B2]))
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .backend(udp(B1, CLIENT).data(&[0xff; 8]))
            .goes_back_from(WEB),
    ]
}
