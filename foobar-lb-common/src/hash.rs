//! The hash that spreads flows over slots: the same on every balancer with the same table, so that
//! any of several balancers sends a flow to the same backend.
#![forbid(unsafe_code)]

use crate::{map::FlowKey, net::Ip4};

/// SplitMix64's finalizer (Steele, Lea, Flood, OOPSLA 2014): each bit of the result depends on every
/// bit of `x`.
#[inline(always)]
pub const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A hash of a flow as its client sends it.
#[inline(always)]
pub const fn flow(key: &FlowKey) -> u64 {
    let addresses = (key.source.to_host() as u64) << 32 | key.destination.to_host() as u64;
    let ports = (key.source_port.to_host() as u64) << 24
        | (key.destination_port.to_host() as u64) << 8
        | key.protocol.0 as u64;
    mix(mix(addresses) ^ ports)
}

/// A hash of a client's address.
#[inline(always)]
pub const fn source(address: Ip4) -> u64 {
    mix(address.to_host() as u64)
}

/// The better half of a hash.
#[inline(always)]
pub const fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Port, Protocol};

    fn key(client: u32, port: u16) -> FlowKey {
        FlowKey {
            source: Ip4(client.to_be_bytes()),
            destination: Ip4([203, 0, 113, 10]),
            source_port: Port::new(port),
            destination_port: Port::new(80),
            protocol: Protocol::TCP,
            zero: [0; 3],
        }
    }

    /// Chi-squared over 64 slots with 64,000 samples: far below what chance alone exceeds once in a
    /// million times (63 degrees of freedom: about 134).
    fn is_even(hashes: impl Iterator<Item = u64>) {
        let mut counts = [0u32; 64];
        let mut samples = 0;
        for hash in hashes {
            counts[upper(hash) as usize % 64] += 1;
            samples += 1;
        }
        let expected = f64::from(samples) / 64.0;
        let chi: f64 = counts.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        assert!(chi < 134.0, "chi squared {chi}");
    }

    #[test]
    fn neighbouring_ports_and_addresses_spread_evenly() {
        is_even((0..64_000u32).map(|i| flow(&key(0xc633_6407, i as u16))));
        is_even((0..64_000u32).map(|i| flow(&key(0x0a00_0000 + i, 40_000))));
        is_even((0..64_000u32).map(|i| source(Ip4((0x0a00_0000 + i).to_be_bytes()))));
    }
}
