//! Maps `service_stats` and `backend_stats`: what was forwarded.

use core::ops::AddAssign;

/// Traffic of one service or backend, counted per CPU.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Traffic {
    /// Flows that began.
    pub new_flows: u64,
    /// Connections that the backend refused: a reset in answer to a SYN.
    pub refused: u64,
    /// Packets from clients to backends.
    pub packets_in: u64,
    /// Their bytes: the whole frame without its checksum sequence, as the program sees it.
    pub bytes_in: u64,
    /// Packets from backends to clients.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        let Self { new_flows, refused, packets_in, bytes_in, packets_out, bytes_out } = other;
        self.new_flows += new_flows;
        self.refused += refused;
        self.packets_in += packets_in;
        self.bytes_in += bytes_in;
        self.packets_out += packets_out;
        self.bytes_out += bytes_out;
    }
}
