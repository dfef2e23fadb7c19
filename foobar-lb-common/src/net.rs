//! Addresses, ports and protocol numbers, kept in network byte order as byte arrays, so that
//! byte order cannot be confused: a value that goes from a header into a map key or back is
//! copied, never swapped.
#![forbid(unsafe_code)]

use core::fmt;

/// An IPv4 address as it stands in the header.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ip4(pub [u8; 4]);

impl Ip4 {
    /// The address as a number in host byte order.
    #[inline(always)]
    pub const fn to_host(self) -> u32 {
        u32::from_be_bytes(self.0)
    }

    /// The four bytes as they lie in memory, for checksum arithmetic and for stores.
    #[inline(always)]
    pub const fn to_wire(self) -> u32 {
        u32::from_ne_bytes(self.0)
    }

    /// The inverse of [`Ip4::to_wire`].
    #[inline(always)]
    pub const fn from_wire(raw: u32) -> Self {
        Self(raw.to_ne_bytes())
    }

    /// Whether a packet may not carry this as its source: 127.0.0.0/8 (RFC 1122 3.2.1.3),
    /// 0.0.0.0/8 (RFC 1122 3.2.1.3; only a host that has no address yet may use it), multicast
    /// (RFC 1112 section 7.2) and 240.0.0.0/4 with the limited broadcast (RFC 1122 3.2.1.3).
    #[inline(always)]
    pub const fn is_bad_source(self) -> bool {
        let first = self.0[0];
        first == 0 || first == 127 || first >= 224
    }
}

impl fmt::Display for Ip4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

impl fmt::Debug for Ip4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<core::net::Ipv4Addr> for Ip4 {
    fn from(address: core::net::Ipv4Addr) -> Self {
        Self(address.octets())
    }
}

impl From<Ip4> for core::net::Ipv4Addr {
    fn from(address: Ip4) -> Self {
        Self::from(address.0)
    }
}

/// A TCP or UDP port as it stands in the header.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Port(pub [u8; 2]);

impl Port {
    /// From a number in host byte order.
    #[inline(always)]
    pub const fn new(port: u16) -> Self {
        Self(port.to_be_bytes())
    }

    /// The number in host byte order.
    #[inline(always)]
    pub const fn to_host(self) -> u16 {
        u16::from_be_bytes(self.0)
    }

    /// The two bytes as they lie in memory, for checksum arithmetic and for stores.
    #[inline(always)]
    pub const fn to_wire(self) -> u16 {
        u16::from_ne_bytes(self.0)
    }

    /// The inverse of [`Port::to_wire`].
    #[inline(always)]
    pub const fn from_wire(raw: u16) -> Self {
        Self(raw.to_ne_bytes())
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_host(), f)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An IP protocol number that the packet path balances.
///
/// Any byte is a valid value (this is a map key's field); [`Protocol::TCP`] and
/// [`Protocol::UDP`] are the ones that occur.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Protocol(pub u8);

impl Protocol {
    /// RFC 9293.
    pub const TCP: Self = Self(6);
    /// RFC 768.
    pub const UDP: Self = Self(17);
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TCP => f.write_str("tcp"),
            Self::UDP => f.write_str("udp"),
            Self(other) => write!(f, "protocol {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_and_host_order() {
        assert_eq!(Port::new(0x1234).0, [0x12, 0x34]);
        assert_eq!(Port::from_wire(Port::new(80).to_wire()).to_host(), 80);
        assert_eq!(Ip4([10, 0, 0, 1]).to_host(), 0x0a00_0001);
        assert_eq!(Ip4::from_wire(Ip4([1, 2, 3, 4]).to_wire()), Ip4([1, 2, 3, 4]));
    }

    #[test]
    fn bad_sources() {
        for bad in [[0, 0, 0, 0], [0, 1, 2, 3], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
            assert!(Ip4(bad).is_bad_source(), "{:?}", Ip4(bad));
        }
        for good in [[1, 0, 0, 1], [126, 0, 0, 1], [128, 0, 0, 1], [223, 255, 255, 255]] {
            assert!(!Ip4(good).is_bad_source(), "{:?}", Ip4(good));
        }
    }
}
