//! The kernel's side: loads the program, pins, attaches, writes and reads the maps. The only
//! module that names aya.
//!
//! Must never decide anything: it does what [`crate::plan`] says, and reports what is there.

mod attach;
mod detach;
mod error;
mod layout;
mod load;
mod maps;
mod pins;
mod pod;
mod read;
mod slots;
mod test_run;

use std::path::PathBuf;

use aya::{
    Ebpf,
    programs::{Xdp, XdpMode as AyaMode},
};
use serde::{Deserialize, Serialize};

pub use attach::Attachment;
pub use error::DataplaneError;
pub use layout::PIN_ROOT;
pub use load::{LoadOptions, PacketLog};
pub use pins::unload;
pub use read::{FlowEntry, ProgramFigures, ReasonCount};
pub use test_run::{Action, TestRun};

use maps::Maps;

/// The name of the XDP program in the object, as bpftool shows it.
const PROGRAM: &str = "foobar_lb";

/// Where in the kernel an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver, before the kernel makes a socket buffer.
    Native,
    /// In the kernel's receive path, for any driver; slower.
    Generic,
}

impl XdpMode {
    /// The mode's name: `native` or `generic`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }

    fn to_aya(self) -> AyaMode {
        match self {
            Self::Native => AyaMode::Driver,
            Self::Generic => AyaMode::Skb,
        }
    }
}

impl std::fmt::Display for XdpMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The loaded packet path.
pub struct Dataplane {
    ebpf: Ebpf,
    maps: Maps,
    pins: Option<PathBuf>,
    adopted: bool,
    _lock: Option<pins::PinLock>,
}

impl Dataplane {
    /// Whether an earlier controller left the packet path running.
    pub fn is_adopted(&self) -> bool {
        self.adopted
    }

    fn program(&mut self) -> Result<&mut Xdp, DataplaneError> {
        let program = self.ebpf.program_mut(PROGRAM).ok_or(DataplaneError::NoProgram)?;
        Ok(program.try_into()?)
    }
}
