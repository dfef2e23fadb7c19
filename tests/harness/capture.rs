//! Captures by tcpdump.
//!
//! A NIC that runs XDP in native mode shows tcpdump only what the program passes to the kernel:
//! capture on the other end of the wire (the client's `eth0`, the switch's ports).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::{Child, Lab, NetNs};

/// How long tcpdump may take to start and to end.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A running capture into a pcap file.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    /// Captures what `filter` (pcap-filter(7); empty for all) matches on a NIC into `NAME.pcap` in
    /// the lab's folder. Returns when the capture has begun.
    pub fn start(lab: &Lab, ns: &NetNs, nic: &str, filter: &str, name: &str) -> Result<Self> {
        let file = lab.dir().join(format!("{name}.pcap"));
        let mut command = ns.command("tcpdump");
        // -Z: Debian's tcpdump would give up root and could not write into the lab's folder.
        command.args(["-U", "--immediate-mode", "-n", "-s", "0", "-Z", "root", "-i", nic, "-w"]);
        command.arg(&file).arg(filter);
        let mut tcpdump = Child::spawn(lab, &format!("tcpdump-{name}"), &mut command)?;
        tcpdump.wait_for_log("listening on", TIMEOUT)?;
        Ok(Self { tcpdump, file })
    }

    /// Where the packets go; complete after [`Capture::stop`].
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Ends the capture, and returns the file.
    pub fn stop(mut self) -> Result<PathBuf> {
        self.tcpdump.signal(Signal::SIGINT)?;
        self.tcpdump.wait(TIMEOUT)?;
        Ok(self.file.clone())
    }
}
