//! Tables that overflow: a first packet can push out first packets only.

use anyhow::{Result, ensure};
use foobar_lb::{dataplane::Action, model::Protocol};
use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::{web, web_udp},
    ground::{At, B1, B2, B3, CLIENT, Side, WEB},
    lab::Lab,
    packet::{Packet, tcp, udp},
};

const ESTABLISHED: u16 = 100;

fn backend(i: u16) -> At {
    [B1, B2, B3][usize::from(i) % 3]
}

/// Sends `count` packets, each from another source, and says how many were forwarded.
fn flood(lab: &mut Lab, count: u32, packet: impl Fn(At) -> Packet) -> Result<u64> {
    let before = lab.count(Reason::ForwardedRedirect)?;
    // Only the source changes; nobody looks at the checksums of a flood.
    let mut frame = packet(CLIENT).arriving(Side::Client);
    for i in 0..count {
        // Scattered, and never twice the same (the factor is odd).
        let source = i.wrapping_mul(0x9e37_79b1).to_be_bytes();
        frame[26..30].copy_from_slice(&[11, source[1], source[2], source[3]]);
        frame[34..36].copy_from_slice(&(1024 + i as u16 % 50_000).to_be_bytes());
        ensure!(lab.run_fast(Side::Client, &frame)? == Action::Redirect, "packet {i}");
    }
    Ok(lab.count(Reason::ForwardedRedirect)? - before)
}

pub(super) fn cases() -> Vec<Case> {
    let client = |i: u16| CLIENT.port(20_000 + i);
    vec![
        case("flood: 20,000 SYNs evict no established flow")
            .flow_tables(1000, 500)
            .given(web(&[B1, B2, B3]))
            .each(0..ESTABLISHED, |case, i| case.establish(client(i), WEB, backend(i)))
            .then("20,000 SYNs arrive", |lab| {
                let forwarded = flood(lab, 20_000, |from| tcp(from, WEB).syn())?;
                ensure!(forwarded == 20_000, "{forwarded} were forwarded");
                let flows = lab.dataplane.flows()?;
                let established = flows.iter().filter(|entry| entry.established).count();
                ensure!(established == 2 * usize::from(ESTABLISHED), "{established} entries");
                ensure!(flows.len() - established <= 1000, "{} entries", flows.len());
                Ok(())
            })
            .each(0..ESTABLISHED, |case, i| {
                case.client(tcp(client(i), WEB).ack(1).data(b"still here"))
                    .goes_to(backend(i))
                    .backend(tcp(backend(i), client(i)).ack(1))
                    .goes_back_from(WEB)
            }),
        case("flood: 20,000 UDP datagrams evict no flow that was answered")
            .flow_tables(1000, 500)
            .given([web_udp(&[B1]), web(&[B2])])
            .each(0..ESTABLISHED, |case, i| {
                case.client(udp(client(i), WEB))
                    .goes_to(B1)
                    .backend(udp(B1, client(i)))
                    .goes_back_from(WEB)
                    .client(udp(client(i), WEB))
                    .goes_to(B1)
                    .established_is(Protocol::Udp, client(i), WEB, true)
            })
            .establish(CLIENT, WEB, B2)
            .then("20,000 datagrams arrive", |lab| {
                let forwarded = flood(lab, 20_000, |from| udp(from, WEB).data(b"?"))?;
                ensure!(forwarded == 20_000, "{forwarded} were forwarded");
                Ok(())
            })
            .each(0..ESTABLISHED, |case, i| {
                case.backend(udp(B1, client(i)))
                    .goes_back_from(WEB)
                    .client(udp(client(i), WEB))
                    .goes_to(B1)
            })
            .client(tcp(CLIENT, WEB).ack(1))
            .goes_to(B2),
        case("flood: guessed acknowledgements establish nothing")
            .flow_tables(1000, 500)
            .given(web(&[B1]))
            .then("each source sends a SYN, and then an ACK that it guesses", |lab| {
                for i in 0..1000 {
                    let from = CLIENT.port(1024 + i);
                    lab.run_fast(Side::Client, &tcp(from, WEB).syn().arriving(Side::Client))?;
                    let answer = tcp(B1, from).seq(0x5000_0000).syn().ack(1);
                    lab.run_fast(Side::Backend, &answer.arriving(Side::Backend))?;
                    let guess = u32::from(i).wrapping_mul(0x9e37_79b1);
                    lab.run_fast(
                        Side::Client,
                        &tcp(from, WEB).ack(guess).arriving(Side::Client),
                    )?;
                }
                let flows = lab.dataplane.flows()?;
                // One guess in 65,536 would be near enough; none of these is.
                let established = flows.iter().filter(|entry| entry.established).count();
                ensure!(established == 0, "{established} entries");
                Ok(())
            }),
        case("overflow: more established flows than fit: the latest stay")
            .flow_tables(200, 500)
            .given(web(&[B1]))
            .each(0..400u16, |case, i| case.establish(client(i), WEB, B1))
            .each(390..400u16, |case, i| {
                case.client(tcp(client(i), WEB).ack(1)).goes_to(B1)
            }),
    ]
}
