//! Runs a packet through the loaded program without sending it anywhere.

use aya::{TestRun as _, programs::TestRunOptions};

use super::{Dataplane, DataplaneError};

/// What the program told the kernel to do with the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `XDP_ABORTED`: the program failed.
    Aborted,
    /// `XDP_DROP`.
    Drop,
    /// `XDP_PASS`.
    Pass,
    /// `XDP_TX`.
    Tx,
    /// `XDP_REDIRECT`.
    Redirect,
}

/// The outcome of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// What the program told the kernel to do.
    pub action: Action,
    /// The packet afterwards.
    pub frame: Vec<u8>,
}

/// More than any rewrite adds.
const MAX_GROWTH: usize = 256;

impl Dataplane {
    /// Runs the program on `frame`, as if it came in by `interface`. The flows and counters that
    /// it makes are real.
    ///
    /// # Errors
    ///
    /// The kernel refuses the run: it takes no frame shorter than an Ethernet header.
    pub fn test_run(&mut self, frame: &[u8], interface: u32) -> Result<TestRun, DataplaneError> {
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index,
        // egress_ifindex.
        let ctx: Vec<u8> = [0, frame.len() as u32, 0, interface, 0, 0]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let mut out = vec![0; frame.len() + MAX_GROWTH];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: Some(&ctx),
            ..TestRunOptions::default()
        };
        let result = self.program()?.test_run(options)?;
        let action = match result.return_value {
            1 => Action::Drop,
            2 => Action::Pass,
            3 => Action::Tx,
            4 => Action::Redirect,
            _ => Action::Aborted,
        };
        out.truncate(result.data_size_out as usize);
        Ok(TestRun { action, frame: out })
    }
}
