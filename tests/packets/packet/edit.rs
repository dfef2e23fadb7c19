//! What can be said of a packet, one word at a time.

use etherparse::{IpDscp, IpEcn, IpFragOffset, Ipv4Header, Ipv4Options, TcpHeader};

use super::{C_TAG, Layer, Network, Packet, Patch, S_TAG, Transport};
use crate::ground::{At, Mac};

/// Ethernet.
impl Packet {
    /// Source and destination MAC addresses, where they are not what the topology says.
    pub fn macs(self, source: Mac, destination: Mac) -> Self {
        Self { macs: Some((source, destination)), ..self }
    }

    /// Adds an 802.1Q tag behind those before it.
    pub fn vlan(self, id: u16) -> Self {
        self.tag(C_TAG, 0, id)
    }

    /// Adds an 802.1ad tag behind those before it.
    pub fn service_vlan(self, id: u16) -> Self {
        self.tag(S_TAG, 0, id)
    }

    /// Adds a tag with an EtherType and a priority.
    pub fn tag(mut self, ether_type: u16, priority: u8, id: u16) -> Self {
        self.tags.push((ether_type, priority, id));
        self
    }

    /// Bytes behind the IPv4 packet, as Ethernet's minimum frame has them.
    pub fn padding(self, bytes: usize) -> Self {
        Self { padding: bytes, ..self }
    }

    /// Keeps only the first bytes of the frame.
    pub fn cut(self, length: usize) -> Self {
        Self { cut: Some(length), ..self }
    }

    /// Writes over the finished frame; no checksum follows.
    pub fn patch(mut self, layer: Layer, offset: usize, bytes: &[u8]) -> Self {
        self.patches.push(Patch { layer, offset, bytes: bytes.to_vec() });
        self
    }
}

/// IPv4.
impl Packet {
    /// Changes the IPv4 header.
    pub fn edit_ip(mut self, edit: impl FnOnce(&mut Ipv4Header)) -> Self {
        if let Network::Ipv4 { header, .. } = &mut self.network {
            edit(header);
        }
        self
    }

    /// The IPv4 header; of packets that have one.
    pub fn ip(&self) -> &Ipv4Header {
        match &self.network {
            Network::Ipv4 { header, .. } => header,
            Network::Other { .. } => panic!("not an IPv4 packet"),
        }
    }

    /// Time to live.
    pub fn ttl(self, ttl: u8) -> Self {
        self.edit_ip(|ip| ip.time_to_live = ttl)
    }

    /// Identification.
    pub fn ident(self, ident: u16) -> Self {
        self.edit_ip(|ip| ip.identification = ident)
    }

    /// The type-of-service byte.
    pub fn tos(self, tos: u8) -> Self {
        self.edit_ip(|ip| {
            ip.dscp = IpDscp::try_new(tos >> 2).expect("six bits");
            ip.ecn = IpEcn::try_new(tos & 3).expect("two bits");
        })
    }

    /// IPv4 options: a multiple of four bytes, 40 at the most.
    pub fn ip_options(self, options: &[u8]) -> Self {
        let options = Ipv4Options::try_from(options).expect("a multiple of four, 40 at the most");
        self.edit_ip(|ip| ip.options = options)
    }

    /// `words` words of no-operation options, the last byte their end.
    pub fn ip_option_words(self, words: usize) -> Self {
        let mut options = vec![1; words * 4];
        if let Some(last) = options.last_mut() {
            *last = 0;
        }
        self.ip_options(&options)
    }

    /// Makes it a fragment: its offset in units of eight bytes, and whether more follow.
    pub fn fragment(self, offset: u16, more: bool) -> Self {
        self.edit_ip(|ip| {
            ip.fragment_offset = IpFragOffset::try_new(offset).expect("13 bits");
            ip.more_fragments = more;
        })
    }

    /// The total length, where it is a lie.
    pub fn ip_length(mut self, bytes: u16) -> Self {
        if let Network::Ipv4 { length, .. } = &mut self.network {
            *length = Some(bytes);
        }
        self
    }
}

/// TCP and UDP.
impl Packet {
    /// Changes the TCP header, if it is one.
    pub fn edit_tcp(mut self, edit: impl FnOnce(&mut TcpHeader)) -> Self {
        if let Network::Ipv4 { transport: Transport::Tcp(header), .. } = &mut self.network {
            edit(header);
        }
        self
    }

    /// Sequence number.
    pub fn seq(self, sequence: u32) -> Self {
        self.edit_tcp(|tcp| tcp.sequence_number = sequence)
    }

    /// Sets SYN.
    pub fn syn(self) -> Self {
        self.edit_tcp(|tcp| tcp.syn = true)
    }

    /// Sets ACK and the acknowledgement number.
    pub fn ack(self, acknowledgement: u32) -> Self {
        self.edit_tcp(|tcp| {
            tcp.ack = true;
            tcp.acknowledgment_number = acknowledgement;
        })
    }

    /// Sets FIN.
    pub fn fin(self) -> Self {
        self.edit_tcp(|tcp| tcp.fin = true)
    }

    /// Sets RST.
    pub fn rst(self) -> Self {
        self.edit_tcp(|tcp| tcp.rst = true)
    }

    /// Sets PSH.
    pub fn psh(self) -> Self {
        self.edit_tcp(|tcp| tcp.psh = true)
    }

    /// All eight flags as the header's byte 13 has them.
    pub fn flags(self, flags: u8) -> Self {
        self.edit_tcp(|tcp| {
            tcp.fin = flags & 0x01 != 0;
            tcp.syn = flags & 0x02 != 0;
            tcp.rst = flags & 0x04 != 0;
            tcp.psh = flags & 0x08 != 0;
            tcp.ack = flags & 0x10 != 0;
            tcp.urg = flags & 0x20 != 0;
            tcp.ece = flags & 0x40 != 0;
            tcp.cwr = flags & 0x80 != 0;
        })
    }

    /// Window.
    pub fn window(self, window: u16) -> Self {
        self.edit_tcp(|tcp| tcp.window_size = window)
    }

    /// TCP options: a multiple of four bytes, 40 at the most.
    pub fn tcp_options(self, options: &[u8]) -> Self {
        self.edit_tcp(|tcp| tcp.set_options_raw(options).expect("40 bytes at the most"))
    }

    /// The payload.
    pub fn data(mut self, bytes: &[u8]) -> Self {
        if let Network::Ipv4 { payload, .. } = &mut self.network {
            *payload = bytes.to_vec();
        }
        self
    }

    /// A UDP datagram without a checksum.
    pub fn no_checksum(mut self) -> Self {
        if let Network::Ipv4 { transport: Transport::Udp { has_checksum, .. }, .. } =
            &mut self.network
        {
            *has_checksum = false;
        }
        self
    }

    /// The UDP length, where it is not that of the IPv4 payload.
    pub fn udp_length(mut self, bytes: u16) -> Self {
        if let Network::Ipv4 { transport: Transport::Udp { length, .. }, .. } = &mut self.network {
            *length = Some(bytes);
        }
        self
    }
}

/// What becomes of a packet on its way.
impl Packet {
    /// As it is when it goes to this address and port instead.
    pub fn sent_to(self, to: At) -> Self {
        self.edit_ip(|ip| ip.destination = to.address).ports(None, Some(to.port))
    }

    /// As it is when it comes from this address and port instead.
    pub fn sent_from(self, from: At) -> Self {
        self.edit_ip(|ip| ip.source = from.address).ports(Some(from.port), None)
    }

    /// As it is one hop later: the TTL is one less.
    pub fn hop(self) -> Self {
        self.edit_ip(|ip| ip.time_to_live -= 1)
    }

    fn ports(mut self, from: Option<u16>, to: Option<u16>) -> Self {
        if let Network::Ipv4 { transport, .. } = &mut self.network {
            let (source, destination) = match transport {
                Transport::Tcp(tcp) => (&mut tcp.source_port, &mut tcp.destination_port),
                Transport::Udp { header, .. } => {
                    (&mut header.source_port, &mut header.destination_port)
                }
                Transport::Other => return self,
            };
            *source = from.unwrap_or(*source);
            *destination = to.unwrap_or(*destination);
        }
        self
    }
}
