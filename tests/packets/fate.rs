//! What must become of a packet: one reason counted, its action, its frame, its traffic.

use anyhow::{Result, bail, ensure};
use foobar_lb::dataplane::Action;
use foobar_lb_common::{Reason, map::Traffic};

use crate::{
    ground::{Mac, Side},
    judge,
    lab::Ran,
    packet::Packet,
};

/// Everything that is expected of one packet.
pub struct Fate {
    /// The one reason whose counter rises.
    pub reason: Reason,
    /// What the program tells the kernel.
    pub action: Action,
    /// The frame.
    pub afterwards: Afterwards,
}

/// What the frame must be afterwards.
#[expect(clippy::large_enum_variant, reason = "a few hundred of them, for a moment")]
pub enum Afterwards {
    /// This one.
    Exactly(Packet, Out),
    /// Every byte as it was.
    Untouched,
    /// Nobody will see it.
    Anything,
}

/// Which MAC addresses it has by default.
pub enum Out {
    /// From this side's, to the next hop's.
    Leaving(Side),
    /// Those of the input.
    AsBefore,
    /// Those of the input, swapped.
    Swapped,
}

impl Fate {
    /// Fails unless it came as expected for this packet, which arrived at `side`.
    pub fn judge(&self, ran: &Ran, side: Side) -> Result<()> {
        let Self { reason, action, afterwards } = self;
        let named = |(reason, by): &(Reason, u64)| format!("{} by {by}", reason.name());
        if ran.reasons != [(*reason, 1)] {
            let rose = ran.reasons.iter().map(named).collect::<Vec<_>>().join(", ");
            bail!("expected {} to rise by 1, and nothing else; rose: {rose}", reason.name());
        }
        ensure!(ran.action == *action, "expected {action:?}, the program said {:?}", ran.action);
        match afterwards {
            Afterwards::Anything => {}
            Afterwards::Untouched => judge::same(&ran.input, &ran.frame)?,
            Afterwards::Exactly(packet, out) => {
                let expected = match out {
                    Out::Leaving(side) => packet.leaving(*side),
                    Out::AsBefore => packet.bytes(macs(&ran.input)),
                    Out::Swapped => {
                        let (source, destination) = macs(&ran.input);
                        packet.bytes((destination, source))
                    }
                };
                judge::same(&expected, &ran.frame)?;
                judge::sound(&ran.frame)?;
            }
        }
        judge_traffic(ran, side, *reason)
    }
}

/// A forwarded packet is counted once, in its direction, for a service and a backend.
fn judge_traffic(ran: &Ran, side: Side, reason: Reason) -> Result<()> {
    let rewritten = matches!(
        reason,
        Reason::ForwardedTx
            | Reason::ForwardedRedirect
            | Reason::KernelNoNeighbour
            | Reason::KernelTooBig
            | Reason::KernelInterface
            | Reason::KernelRoute
            | Reason::KernelForwardingOff
    );
    let (packets, bytes) = if rewritten { (1, ran.input.len() as u64) } else { (0, 0) };
    ensure!(
        ran.service_traffic == ran.backend_traffic,
        "services and backends were counted differently:\n  {:?}\n  {:?}",
        ran.service_traffic,
        ran.backend_traffic
    );
    let Traffic { new_flows, refused, packets_in, bytes_in, packets_out, bytes_out } =
        ran.service_traffic;
    ensure!(new_flows <= 1, "{new_flows} new flows by one packet");
    ensure!(refused <= 1, "{refused} refusals by one packet");
    ensure!(
        packets_in + packets_out == packets && bytes_in + bytes_out == bytes,
        "expected {packets} packets and {bytes} bytes to be counted: {:?}",
        ran.service_traffic
    );
    ensure!(side == Side::Client || packets_in == 0, "counted for the wrong direction");
    Ok(())
}

/// Source and destination MAC address of a frame.
fn macs(frame: &[u8]) -> (Mac, Mac) {
    let mac = |at: usize| frame[at..at + 6].try_into().expect("six bytes");
    (mac(6), mac(0))
}
