//! The numbers that both halves agree on.
#![forbid(unsafe_code)]

/// The version of every map's layout. It names the folder of the pins: a controller never reads
/// maps of another layout.
pub const LAYOUT_VERSION: u32 = 1;

/// VLAN tags that are stepped over at the most (802.1Q, and 802.1ad with 802.1Q inside).
pub const MAX_VLAN_TAGS: usize = 2;

/// How many slots are tried for a new flow: more than one where a backend already talks with the
/// same client address and port for another service, or just refused this client.
pub const SELECT_TRIES: u32 = 4;

/// How often a client is kept from learning that a backend refused its connection, and made to send
/// its SYN again, which then goes to another backend; after that it is told.
pub const MAX_REFUSALS: u8 = 2;

/// The packet path's unit of time: 2^30 ns (1.07 s), so that a clock reading becomes a tick by one
/// shift. Time-outs are in ticks, rounded up.
pub const fn ticks(seconds: u32) -> u32 {
    ((seconds as u64 * 1_000_000_000).div_ceil(1 << TICK_SHIFT)) as u32
}

/// See [`ticks`].
pub const TICK_SHIFT: u32 = 30;

/// Ticks without a packet after which an established TCP flow may be replaced by a new one with
/// the same addresses and ports (15 minutes, IPVS's default).
pub const TCP_IDLE: u32 = ticks(900);

/// Ticks without a packet after which a UDP flow is over: the next packet is scheduled anew
/// (2 minutes, as the kernel's conntrack for streams).
pub const UDP_IDLE: u32 = ticks(120);

/// Ticks without a packet after which a flow still in its handshake may be replaced (1 minute, as
/// the kernel's conntrack for a SYN that was answered).
pub const NEW_IDLE: u32 = ticks(60);

/// Interfaces at the most, for which packets can be redirected.
pub const MAX_INTERFACES: u32 = 64;
