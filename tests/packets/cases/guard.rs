//! What no honest sender sends to a service.

use foobar_lb_common::Reason;

use crate::{
    case::{Case, Sent, case},
    given::{web, web_udp},
    ground::{At, B1, CLIENT, OTHER_CLIENT, WEB},
    packet::{CLIENT_SEQUENCE, reset, tcp, udp},
};

/// Addresses that nothing may come from.
const MARTIANS: &[[u8; 4]] = &[
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [127, 0, 0, 1],
    [127, 255, 255, 254],
    [224, 0, 0, 1],
    [239, 255, 255, 255],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
];

/// The nearest addresses that are fine.
const FINE: &[[u8; 4]] = &[[1, 0, 0, 1], [126, 0, 0, 1], [128, 0, 0, 1], [223, 255, 255, 254]];

/// What the first segment of a tuple meets, by its flags.
fn first_segment(sent: Sent, client: At, flags: u8) -> Case {
    let [fin, syn, rst, ack] = [0x01, 0x02, 0x04, 0x10].map(|flag| flags & flag != 0);
    if (syn && (fin || rst)) || !(syn || fin || rst || ack) {
        sent.drops(Reason::BadFlags)
    } else if rst {
        sent.drops(Reason::NoFlow)
    } else if ack {
        // In [`tcp`] the acknowledgement number is 0 unless it is said.
        sent.answers(Reason::ResetNoFlow, reset(WEB, client))
    } else if syn {
        sent.goes_to(B1)
    } else {
        // A FIN alone: it takes one sequence number.
        sent.answers(Reason::ResetNoFlow, reset(WEB, client).ack(CLIENT_SEQUENCE + 1))
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("source: an address that nothing may come from")
            .given([web(&[B1]), web_udp(&[B1])])
            .each(MARTIANS, |case, &address| {
                case.client(tcp(CLIENT.address(address), WEB).syn())
                    .drops(Reason::BadSource)
                    .client(udp(CLIENT.address(address), WEB).data(b"?"))
                    .drops(Reason::BadSource)
                    // No answer to such an address either.
                    .client(tcp(CLIENT.address(address), WEB).ack(1))
                    .drops(Reason::BadSource)
            }),
        case("source: such an address is the kernel's to judge when it is not for a service")
            .given(web(&[B1]))
            .each(MARTIANS, |case, &address| {
                case.client(tcp(CLIENT.address(address), WEB.port(22)).syn())
                    .passes(Reason::NotService)
            }),
        case("source: the addresses next to those are fine")
            .given(web(&[B1]))
            .each(FINE, |case, &address| {
                case.client(tcp(CLIENT.address(address), WEB).syn()).goes_to(B1)
            }),
        case("source: the service itself (a land attack)")
            .given([web(&[B1]), web_udp(&[B1])])
            .client(tcp(WEB, WEB).syn())
            .drops(Reason::BadSource)
            .client(tcp(WEB.port(999), WEB).syn())
            .drops(Reason::BadSource)
            .client(udp(WEB, WEB))
            .drops(Reason::BadSource),
        case("flags: all 256 combinations as a first segment")
            .given(web(&[B1]))
            .each(0..=255u8, |case, flags| {
                let client = CLIENT.port(30_000 + u16::from(flags));
                first_segment(case.client(tcp(client, WEB).flags(flags)), client, flags)
            }),
        case("flags: none at all, and the Christmas tree")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).flags(0x00))
            .drops(Reason::BadFlags)
            .client(tcp(CLIENT, WEB).flags(0xff))
            .drops(Reason::BadFlags)
            .client(tcp(CLIENT, WEB).flags(0x29))
            .answers(Reason::ResetNoFlow, reset(WEB, CLIENT).ack(CLIENT_SEQUENCE + 1)),
        case("flags: bad ones are the kernel's to judge when they are not for a service")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB.port(22)).flags(0x03))
            .passes(Reason::NotService),
        case("flags: a SYN may carry data (TCP Fast Open), and ask for ECN")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().data(b"early"))
            .goes_to(B1)
            .client(tcp(OTHER_CLIENT, WEB).flags(0xc2))
            .goes_to(B1),
        case("flags: nothing bad makes a flow")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).flags(0x03))
            .drops(Reason::BadFlags)
            .client(tcp(CLIENT.address([127, 0, 0, 1]), WEB).syn())
            .drops(Reason::BadSource)
            .then("no flow is remembered", |lab| {
                let flows = lab.dataplane.flows()?;
                anyhow::ensure!(flows.is_empty(), "{flows:?}");
                Ok(())
            }),
    ]
}
