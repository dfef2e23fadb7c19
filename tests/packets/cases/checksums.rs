//! Checksums at their corners: where one's complement has two zeros, and UDP gives one of them a
//! meaning (RFC 768, RFC 1624).

use anyhow::{Context as _, ensure};
use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::{web, web_udp},
    ground::{At, B1, CLIENT, OTHER_CLIENT, Side, WEB},
    judge::{carried_checksum, wrong_checksums},
    packet::{Layer, Packet, tcp, udp},
};

/// Looks for the two bytes of data with which the packet, as it will arrive at the backend,
/// carries this checksum.
fn with_checksum_behind(packet: Packet, backend: At, wanted: u16) -> Packet {
    search(packet, wanted, |packet| packet.clone().sent_to(backend).hop())
}

/// Looks for the two bytes of data with which the packet itself carries this checksum.
fn with_checksum(packet: Packet, wanted: u16) -> Packet {
    search(packet, wanted, Packet::clone)
}

fn search(packet: Packet, wanted: u16, seen: impl Fn(&Packet) -> Packet) -> Packet {
    (0..=u16::MAX)
        .map(|word| packet.clone().data(&word.to_be_bytes()))
        .find(|packet| carried_checksum(&seen(packet).arriving(Side::Client)) == Some(wanted))
        .expect("one word of data can bring any checksum about")
}

/// Looks for the identification with which the packet, as `seen`, has this IPv4 checksum.
fn with_ip_checksum(packet: Packet, wanted: u16, seen: impl Fn(Packet) -> Packet) -> Packet {
    (0..=u16::MAX)
        .map(|ident| packet.clone().ident(ident))
        .find(|packet| {
            let frame = seen(packet.clone()).arriving(Side::Client);
            u16::from_be_bytes([frame[24], frame[25]]) == wanted
        })
        .expect("one word of the header can bring any checksum about")
}

/// A little generator (xorshift): the same packets in every run.
fn scatter(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

fn many(udp_too: bool) -> Vec<Packet> {
    let mut state = 0x2545_f491;
    let mut packet = |i: u32| {
        let address = scatter(&mut state).to_be_bytes();
        let client = At { address: [100, address[1], address[2], address[3]], port: i as u16 + 1 };
        let length = scatter(&mut state) as usize % 40;
        let data: Vec<u8> = (0..length).map(|_| scatter(&mut state) as u8).collect();
        let ttl = (scatter(&mut state) % 254 + 2) as u8;
        let sequence = scatter(&mut state);
        let packet = if udp_too && i.is_multiple_of(2) {
            udp(client, WEB)
        } else {
            tcp(client, WEB).syn().seq(sequence)
        };
        packet.data(&data).ttl(ttl).ident(scatter(&mut state) as u16).tos(scatter(&mut state) as u8)
    };
    (0..500).map(&mut packet).collect()
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("udp: a checksum that comes out as 0x0000 is sent as 0xffff")
            .given(web_udp(&[B1]))
            .client(with_checksum_behind(udp(CLIENT, WEB), B1, 0xffff))
            .goes_to(B1),
        case("udp: the same on the way back")
            .given(web_udp(&[B1]))
            .client(udp(CLIENT, WEB))
            .goes_to(B1)
            .backend(search(udp(B1, CLIENT), 0xffff, |packet| packet.clone().sent_from(WEB).hop()))
            .goes_back_from(WEB),
        case("udp: a checksum that comes in as 0xffff")
            .given(web_udp(&[B1]))
            .client(with_checksum(udp(CLIENT, WEB), 0xffff))
            .goes_to(B1)
            .backend(with_checksum(udp(B1, CLIENT), 0xffff))
            .goes_back_from(WEB),
        case("udp: checksums next to both zeros")
            .given(web_udp(&[B1]))
            .each([0x0001, 0x0002, 0xfffe, 0x00ff, 0x0100, 0xff00], |case, wanted| {
                case.client(with_checksum_behind(udp(CLIENT, WEB), B1, wanted))
                    .goes_to(B1)
                    .client(with_checksum(udp(CLIENT, WEB), wanted))
                    .goes_to(B1)
            }),
        case("udp: no checksum stays no checksum, both ways")
            .given(web_udp(&[B1]))
            .client(udp(CLIENT, WEB).no_checksum().data(b"odd"))
            .goes_to(B1)
            .backend(udp(B1, CLIENT).no_checksum().data(b"odd"))
            .goes_back_from(WEB)
            .client(udp(CLIENT, WEB).data(b"with one again"))
            .goes_to(B1)
            .then("the field is zero on the wire", |lab| {
                let ran = lab.run(Side::Client, &udp(CLIENT, WEB).no_checksum())?;
                ensure!(carried_checksum(&ran.frame) == Some(0), "{ran:?}");
                Ok(())
            }),
        case("tcp: checksums that come out as 0x0000, and next to it")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each([0x0000, 0x0001, 0xfffe, 0x00ff, 0x0100, 0xff00], |case, wanted| {
                case.client(with_checksum_behind(tcp(CLIENT, WEB).ack(1), B1, wanted)).goes_to(B1)
            }),
        case("tcp: checksums that come in as 0x0000, and next to it")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each([0x0000, 0x0001, 0xfffe], |case, wanted| {
                case.client(with_checksum(tcp(CLIENT, WEB).ack(1), wanted))
                    .goes_to(B1)
                    .backend(with_checksum(tcp(B1, CLIENT).ack(1), wanted))
                    .goes_back_from(WEB)
            }),
        case("ipv4: header checksums of 0x0000 and next to it, before and after")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .each([0x0000, 0x0001, 0xfffe, 0x00ff, 0xff00], |case, wanted| {
                let packet = || tcp(CLIENT, WEB).ack(1);
                case.client(with_ip_checksum(packet(), wanted, |packet| packet))
                    .goes_to(B1)
                    .client(with_ip_checksum(packet(), wanted, |packet| packet.sent_to(B1).hop()))
                    .goes_to(B1)
                    // Between the rewrite of the address and that of the TTL.
                    .client(with_ip_checksum(packet(), wanted, |packet| packet.sent_to(B1)))
                    .goes_to(B1)
            }),
        case("500 scattered packets, TCP and UDP")
            .flow_tables(100, 2000)
            .given([web(&[B1]), web_udp(&[B1])])
            .each(many(true), |case, packet| case.client(packet).goes_to(B1)),
        case("500 scattered packets with IPv4 options and tags")
            .flow_tables(100, 2000)
            .given(web(&[B1]))
            .each(many(false).into_iter().enumerate(), |case, (i, packet)| {
                let packet = if i % 3 == 0 { packet.vlan(5) } else { packet };
                case.client(packet.ip_option_words(i % 11)).goes_to(B1)
            }),
        case("a wrong TCP checksum is not made right: the backend must see the damage")
            .given(web(&[B1]))
            .establish(CLIENT, WEB, B1)
            .then("a segment with a damaged checksum arrives", |lab| {
                let damaged =
                    tcp(CLIENT, WEB).ack(1).data(b"damaged").patch(Layer::Transport, 16, &[1, 2]);
                let ran = lab.run(Side::Client, &damaged)?;
                ensure!(ran.reasons == [(Reason::ForwardedRedirect, 1)], "{ran:?}");
                let wrong = wrong_checksums(&ran.frame).context("decoding what came out")?;
                ensure!(wrong == ["transport"], "wrong: {wrong:?}");
                Ok(())
            }),
        case("a wrong IPv4 checksum is not made right either")
            .given(web(&[B1]))
            .then("a segment with a damaged header checksum arrives", |lab| {
                let damaged = tcp(OTHER_CLIENT, WEB).syn().patch(Layer::Ip, 10, &[1, 2]);
                let ran = lab.run(Side::Client, &damaged)?;
                let wrong = wrong_checksums(&ran.frame).context("decoding what came out")?;
                ensure!(wrong == ["IPv4"], "wrong: {wrong:?}");
                Ok(())
            }),
    ]
}
