//! The way out by the kernel's own tables; where they know none, the packet is left to the kernel
//! after the rewrite, its TTL and MAC addresses as the kernel wants them.

use foobar_lb::model::Protocol;
use foobar_lb_common::Reason;

use crate::{
    case::{Case, case},
    given::{service, web, web_udp},
    ground::{API, At, B1, CLIENT, FAR, NEAR, ROUTER, SILENT, Side, WEB, mac_of},
    network::ip,
    packet::{CLIENT_SEQUENCE, tcp, udp},
};

/// A client whose MAC address nobody knows.
const SILENT_CLIENT: At = CLIENT.address([198, 51, 100, 99]);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("router: the packet goes to the router's MAC address")
            .ip("route add 10.9.0.0/16 via 10.0.0.254 dev b0")
            .given([web(&[FAR]), web_udp(&[FAR])])
            .client(tcp(CLIENT, WEB).syn())
            .redirects(tcp(CLIENT, FAR).syn().ttl(63).macs(Side::Backend.mac(), mac_of(ROUTER)))
            .client(udp(CLIENT, WEB))
            .redirects(udp(CLIENT, FAR).ttl(63).macs(Side::Backend.mac(), mac_of(ROUTER)))
            .backend(tcp(FAR, CLIENT).syn().ack(CLIENT_SEQUENCE + 1))
            .goes_back_from(WEB),
        case("router: clients behind a default route")
            .ip("neigh replace 198.51.100.254 lladdr 02:01:c6:33:64:fe dev c0")
            .ip("route add default via 198.51.100.254 dev c0")
            .given(web(&[B1]))
            .client(tcp(CLIENT.address([8, 8, 8, 8]), WEB).syn())
            .goes_to(B1)
            .backend(tcp(B1, CLIENT.address([8, 8, 8, 8])).syn().ack(CLIENT_SEQUENCE + 1))
            .redirects(
                tcp(WEB, CLIENT.address([8, 8, 8, 8]))
                    .syn()
                    .ack(CLIENT_SEQUENCE + 1)
                    .ttl(63)
                    .macs(Side::Client.mac(), mac_of([198, 51, 100, 254])),
            ),
        case("no neighbour: rewritten and left to the kernel, which resolves it")
            .given([web(&[SILENT]), web_udp(&[SILENT])])
            .client(tcp(CLIENT, WEB).syn().ttl(64))
            .leaves_to_kernel(Reason::KernelNoNeighbour, tcp(CLIENT, SILENT).syn().ttl(64))
            .client(udp(CLIENT, WEB).data(b"odd").vlan(5))
            .leaves_to_kernel(Reason::KernelNoNeighbour, udp(CLIENT, SILENT).data(b"odd").vlan(5)),
        case("no neighbour: on the way back")
            .given(web(&[B1]))
            .client(tcp(SILENT_CLIENT, WEB).syn())
            .goes_to(B1)
            .backend(tcp(B1, SILENT_CLIENT).syn().ack(CLIENT_SEQUENCE + 1).ttl(64))
            .leaves_to_kernel(
                Reason::KernelNoNeighbour,
                tcp(WEB, SILENT_CLIENT).syn().ack(CLIENT_SEQUENCE + 1).ttl(64),
            ),
        case("no neighbour: once it is known the flow goes on by itself")
            .given(web(&[SILENT]))
            .client(tcp(CLIENT, WEB).syn())
            .leaves_to_kernel(Reason::KernelNoNeighbour, tcp(CLIENT, SILENT).syn())
            .then("the neighbour is resolved", |_| {
                ip(&["neigh replace 10.0.0.99 lladdr 02:01:0a:00:00:63 dev b0".to_owned()])
            })
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(SILENT),
        case("no neighbour: a router's that is not known")
            .ip("route add 10.9.0.0/16 via 10.0.0.98 dev b0")
            .given(web(&[FAR]))
            .client(tcp(CLIENT, WEB).syn())
            .leaves_to_kernel(Reason::KernelNoNeighbour, tcp(CLIENT, FAR).syn()),
        case("too big: for the link's MTU, left to the kernel; one that just fits is not")
            .ip("link set b0 mtu 1000")
            .given(web_udp(&[B1]))
            .client(udp(CLIENT, WEB).data(&[7; 972]))
            .goes_to(B1)
            .client(udp(CLIENT, WEB).data(&[7; 973]))
            .leaves_to_kernel(Reason::KernelTooBig, udp(CLIENT, B1).data(&[7; 973]))
            .client(udp(CLIENT, WEB).data(&[7; 972]).padding(100))
            .goes_to(B1),
        case("too big: for the route's MTU, if it is locked (else the kernel goes by the link's)")
            .ip("route add 10.9.0.0/16 via 10.0.0.254 dev b0 mtu lock 600")
            .given(web(&[FAR]))
            .client(tcp(CLIENT, WEB).syn().data(&[7; 561]))
            .leaves_to_kernel(Reason::KernelTooBig, tcp(CLIENT, FAR).syn().data(&[7; 561])),
        case("no device: the way out is an interface without the program")
            .attached_only(Side::Client)
            .given([web(&[B1]), service(Protocol::Tcp, API, &[NEAR])])
            .client(tcp(CLIENT, WEB).syn().ttl(64))
            .leaves_to_kernel(Reason::KernelInterface, tcp(CLIENT, B1).syn().ttl(64))
            // The interface it came in by is always good.
            .client(tcp(CLIENT, API).syn())
            .transmits(tcp(CLIENT, NEAR).syn().ttl(63)),
        case("no route: none, blackhole, unreachable, prohibit and local")
            .ip("route add blackhole 10.9.0.0/24")
            .ip("route add unreachable 10.9.1.0/24")
            .ip("route add prohibit 10.9.2.0/24")
            .ip("addr add 10.9.3.1/32 dev lo")
            .given(web_udp(&[
                FAR,
                FAR.address([10, 9, 1, 1]),
                FAR.address([10, 9, 2, 1]),
                FAR.address([10, 9, 3, 1]),
                FAR.address([10, 9, 4, 1]),
            ]))
            .each(0..5u8, |case, i| {
                let client = CLIENT.port(1000 + u16::from(i));
                let backend = FAR.address([10, 9, i, 1]);
                case.client(udp(client, WEB).ttl(64))
                    .leaves_to_kernel(Reason::KernelRoute, udp(client, backend).ttl(64))
            }),
        case("no route: the way out is down")
            .ip("link set b0 down")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn())
            .leaves_to_kernel(Reason::KernelRoute, tcp(CLIENT, B1).syn()),
        case("forwarding off on the interface: left to the kernel")
            .sysctl("conf/c0/forwarding", "0")
            .given(web(&[B1]))
            .client(tcp(CLIENT, WEB).syn().ttl(64))
            .leaves_to_kernel(Reason::KernelForwardingOff, tcp(CLIENT, B1).syn().ttl(64))
            // The way back comes in by an interface where it is on.
            .backend(tcp(B1, CLIENT).syn().ack(CLIENT_SEQUENCE + 1))
            .goes_back_from(WEB),
    ]
}
