//! Makes a client whose connection a backend refused try again, at once.
//!
//! The refusal (a reset that acknowledges the SYN) becomes a bare acknowledgement of nothing that
//! was sent. A client in SYN-SENT answers an unacceptable acknowledgement with a reset and keeps
//! waiting (RFC 9293 section 3.10.7.3, first step); Linux then sends its SYN again after
//! a few milliseconds instead of a second, because it takes the segment for one of a former
//! connection with the same ports. Others send it again when their timer runs out, as if the
//! refusal had been lost. Either way the SYN meets a flow that is marked as refused, and goes to
//! another backend.

use core::mem::offset_of;

use foobar_lb_common::{Reason, checksum::Difference};
use network_types::tcp::TcpHdr;

use crate::{
    ctx::Frame,
    parse::{DATA_OFFSET, Packet, TcpFlags},
};

const ACKNOWLEDGEMENT: usize = offset_of!(TcpHdr, ack_seq);
const CHECKSUM: usize = offset_of!(TcpHdr, check);

/// Turns the refusal in `frame`, already rewritten for the client, into a request to try again.
#[inline(always)]
pub(super) fn ask(frame: &mut Frame<'_>, packet: &Packet) -> Result<(), Reason> {
    let mut tcp =
        frame.view_mut::<{ TcpHdr::LEN }>(packet.transport_offset).ok_or(Reason::Inconsistent)?;
    let old = tcp.get();
    // The reset acknowledges the SYN: its sequence number plus one. One less acknowledges nothing:
    // "If SEG.ACK =< ISS, or SEG.ACK > SND.NXT" is what "unacceptable" means there.
    let acknowledgement = old.u32::<ACKNOWLEDGEMENT>();
    let unacceptable = u32::from_be(acknowledgement).wrapping_sub(1).to_be();
    // The flags share a word with the data offset.
    let word = old.u16::<DATA_OFFSET>();
    let ack_only = (u16::from_be(word) & 0xf000 | u16::from(TcpFlags::ACK)).to_be();
    let checksum = Difference::NONE
        .double_word(acknowledgement, unacceptable)
        .word(word, ack_only)
        .apply(old.u16::<CHECKSUM>());
    tcp.set_u32::<ACKNOWLEDGEMENT>(unacceptable);
    tcp.set_u16::<DATA_OFFSET>(ack_only);
    tcp.set_u16::<CHECKSUM>(checksum);
    Ok(())
}
