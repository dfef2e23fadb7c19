//! What no honest sender sends to a service: turned away before a new flow is made for it.
//!
//! Only new flows pass here. A packet of a known flow has been through, and what is not for a
//! service is the kernel's to judge.

use foobar_lb_common::{Reason, net::Protocol};

use crate::parse::{Packet, TcpFlags};

/// Checks a packet that is for a service and of no known flow.
#[inline(always)]
pub fn check(packet: &Packet) -> Result<(), Reason> {
    // A packet from the service to itself (a "land" attack) would loop.
    if packet.source.is_bad_source() || packet.source == packet.destination {
        return Err(Reason::BadSource);
    }
    if packet.protocol == Protocol::TCP {
        let flags = packet.flags;
        let contradictory =
            flags.has(TcpFlags::SYN) && flags.has_any(TcpFlags::FIN | TcpFlags::RST);
        let none = !flags.has_any(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST | TcpFlags::ACK);
        if contradictory || none {
            return Err(Reason::BadFlags);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use foobar_lb_common::net::{Ip4, Port};

    use super::*;

    fn packet(source: [u8; 4], flags: u8) -> Packet {
        Packet {
            ip_offset: 14,
            transport_offset: 34,
            ip_length: 40,
            tos: 0,
            ttl: 64,
            protocol: Protocol::TCP,
            source: Ip4(source),
            destination: Ip4([203, 0, 113, 10]),
            source_port: Port::new(40_000),
            destination_port: Port::new(80),
            flags: TcpFlags(flags),
        }
    }

    #[test]
    fn sources() {
        assert_eq!(check(&packet([127, 0, 0, 1], 0x02)), Err(Reason::BadSource));
        assert_eq!(check(&packet([203, 0, 113, 10], 0x02)), Err(Reason::BadSource));
        assert_eq!(check(&packet([198, 51, 100, 7], 0x02)), Ok(()));
    }

    #[test]
    fn every_combination_of_flags() {
        for flags in 0..=255u8 {
            let syn = flags & 0x02 != 0;
            let expected = if flags & 0x17 == 0 || (syn && flags & 0x05 != 0) {
                Err(Reason::BadFlags)
            } else {
                Ok(())
            };
            assert_eq!(check(&packet([198, 51, 100, 7], flags)), expected, "flags {flags:#04x}");
        }
    }
}
