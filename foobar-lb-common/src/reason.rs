//! Why a packet met the end it met: one [`Reason`] for every drop, every pass and every packet
//! that was answered or forwarded, each with a counter of its own.
#![forbid(unsafe_code)]

/// What happens to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Verdict {
    /// Handed to the kernel's network stack.
    Pass,
    /// Discarded.
    Drop,
    /// Sent out of the interface that it came in by.
    Tx,
    /// Sent out of another interface.
    Redirect,
}

impl Verdict {
    /// The verdict's name as operators see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Tx => "tx",
            Self::Redirect => "redirect",
        }
    }
}

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal, $verdict:ident; )+) => {
        /// Why a packet met the end it met.
        #[repr(u8)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Reason {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl Reason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// What happens to a packet for this reason.
            #[inline(always)]
            pub const fn verdict(self) -> Verdict {
                match self { $( Self::$variant => Verdict::$verdict, )+ }
            }

            /// The reason's name as operators see it: lower case, words joined by `_`.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// What the reason means, for people.
            pub const fn help(self) -> &'static str {
                match self { $( Self::$variant => concat!($($doc),+), )+ }
            }
        }
    };
}

reasons! {
    // Forwarded.
    /// Rewritten and sent out of the interface it came in by.
    ForwardedTx = "forwarded_tx", Tx;
    /// Rewritten and sent out of another interface.
    ForwardedRedirect = "forwarded_redirect", Redirect;

    // Not ours: untouched, to the kernel.
    /// Not IPv4: ARP, IPv6, LLDP and the like.
    NotIpv4 = "not_ipv4", Pass;
    /// IPv4, but neither TCP nor UDP.
    NotTcpUdp = "not_tcp_udp", Pass;
    /// Neither for a service nor a reply of one.
    NotService = "not_service", Pass;
    /// A fragment of an IPv4 packet: fragments are left to the kernel.
    Fragment = "fragment", Pass;
    /// Too short for its Ethernet header or VLAN tags.
    TruncatedEthernet = "truncated_ethernet", Pass;
    /// More than two VLAN tags.
    TooManyTags = "too_many_tags", Pass;
    /// Too short for its IPv4 header.
    TruncatedIpv4 = "truncated_ipv4", Pass;
    /// An IPv4 header that contradicts itself or the frame: version, header length, total length.
    BadIpv4 = "bad_ipv4", Pass;
    /// Too short for its TCP or UDP header, or one that contradicts the packet's length.
    TruncatedTransport = "truncated_transport", Pass;

    // Rewritten, and left to the kernel to send.
    /// The next hop's MAC address is not known yet: the kernel resolves it and sends the packet.
    KernelNoNeighbour = "kernel_no_neighbour", Pass;
    /// Larger than the next link's MTU: the kernel fragments it or tells the sender.
    KernelTooBig = "kernel_too_big", Pass;
    /// The way out is an interface that foobar-lb is not attached to.
    KernelInterface = "kernel_interface", Pass;
    /// There is no usable route, or it is not for this fast path: the kernel decides.
    KernelRoute = "kernel_route", Pass;
    /// Forwarding is off on the interface (sysctl net.ipv4.conf.IFACE.forwarding).
    KernelForwardingOff = "kernel_forwarding_off", Pass;

    // For a service, and dropped.
    /// For a service, from an address that no packet may come from.
    BadSource = "bad_source", Drop;
    /// For a service, with TCP flags that no sender sets (SYN with FIN or RST, or none at all).
    BadFlags = "bad_flags", Drop;
    /// For a service that has no backend to offer.
    NoBackend = "no_backend", Drop;
    /// A TCP reset of a flow whose backend is down or gone: nobody is left to be told.
    BackendGone = "backend_gone", Drop;
    /// A TCP reset that belongs to no known flow.
    NoFlow = "no_flow", Drop;
    /// Its TTL ran out here.
    TtlExceeded = "ttl_exceeded", Drop;
    /// Every backend tried already talks with this client address and port for another service.
    PortCollision = "port_collision", Drop;
    /// The new flow could not be remembered.
    FlowTable = "flow_table", Drop;
    /// The table names a backend that does not exist: a fault of foobar-lb itself.
    Inconsistent = "inconsistent", Drop;

    // Answered with a TCP reset.
    /// A TCP segment that belongs to no known flow: answered with a reset.
    ResetNoFlow = "reset_no_flow", Tx;
    /// A TCP segment of a flow whose backend is down or gone: answered with a reset.
    ResetBackendGone = "reset_backend_gone", Tx;
}

impl Reason {
    /// How many there are: the number of counters.
    pub const COUNT: usize = Self::ALL.len();

    /// The index of this reason's counter.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self as u32
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{collections::BTreeSet, fs, vec::Vec};

    use super::*;

    #[test]
    fn names_are_unique_and_indices_are_dense() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Reason::COUNT);
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index() as usize, i);
            assert!(!reason.help().is_empty());
        }
    }

    /// The table between `<!-- reasons -->` and `<!-- end -->`: name, verdict, meaning, and what to
    /// do, in the order of the counters.
    #[test]
    fn the_manual_has_every_reason() {
        let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/packet-path.md");
        let text = fs::read_to_string(manual).expect("docs/packet-path.md is there");
        let (_, part) = text.split_once("<!-- reasons -->\n").expect("the table begins");
        let (part, _) = part.split_once("<!-- end -->").expect("the table ends");
        let rows: Vec<&str> = part.lines().skip(2).collect();
        assert_eq!(rows.len(), Reason::COUNT, "one row a reason");
        for (row, reason) in rows.iter().zip(Reason::ALL) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let (name, verdict) = (reason.name(), reason.verdict().name());
            assert_eq!(cells[0].trim_matches('`'), name);
            assert_eq!(cells[1..3], [verdict, reason.help().trim()], "{name}");
            assert!(cells.len() == 4 && !cells[3].is_empty(), "{name}: what to do?");
        }
    }
}
