//! Loads the program, on the maps of an earlier controller where there are any.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aya::EbpfLoader;
use aya_log::EbpfLogger;

use super::{Dataplane, DataplaneError, PROGRAM, attach, layout, maps::Maps, pins};
use crate::model::Limits;

/// The compiled packet path, put here by the build script.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/foobar-lb-xdp"));

/// The global that says which levels the program logs.
const LOG_LEVEL: &str = "AYA_LOG_LEVEL";

/// How to load the packet path.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Sizes of the maps.
    pub limits: Limits,
    /// The folder to pin in; `None`: nothing is pinned, and all is gone with the value.
    pub pin_root: Option<PathBuf>,
    /// Whether the program logs each packet that it does not forward.
    pub log_packets: bool,
}

/// Reads what the program logs and hands it to the `log` crate.
pub struct PacketLog(EbpfLogger<&'static dyn log::Log>);

impl PacketLog {
    /// Hands on what has come since the last call.
    pub fn flush(&mut self) {
        self.0.flush();
    }
}

impl Dataplane {
    /// Loads the packet path. With `pin_root`, maps that are pinned there are taken over, after a
    /// check of their layout, and new ones are pinned. Nothing is attached yet.
    ///
    /// # Errors
    ///
    /// [`DataplaneError`]; maps that do not fit are left as they are.
    pub fn load(options: &LoadOptions) -> Result<Self, DataplaneError> {
        let layouts = layout::maps(&options.limits);
        let mut loader = EbpfLoader::new();
        let log_level: u8 = if options.log_packets { u8::MAX } else { 0 };
        loader.override_global(LOG_LEVEL, &log_level, false);
        for map in layouts.iter().filter(|map| map.limit.is_some()) {
            loader.map_max_entries(map.name, map.entries);
        }
        let mut adopted = false;
        let mut lock = None;
        let pins = match &options.pin_root {
            None => None,
            Some(root) => {
                let folder = prepare(root)?;
                lock = Some(pins::lock(root)?);
                for map in &layouts {
                    let path = folder.join("maps").join(map.name);
                    map.check_pin(&path)?;
                    loader.map_pin_path(map.name, path);
                }
                adopted = attach::has_links(&folder)?;
                Some(folder)
            }
        };

        let mut ebpf = loader.load(OBJECT)?;
        let program: &mut aya::programs::Xdp =
            ebpf.program_mut(PROGRAM).ok_or(DataplaneError::NoProgram)?.try_into()?;
        program.load()?;
        let maps = Maps::take(&mut ebpf)?;
        let mut dataplane = Self { ebpf, maps, pins, adopted, _lock: lock };
        dataplane.pin_program()?;
        Ok(dataplane)
    }

    /// What the program logs, to be read now and then; nothing comes when it was loaded without
    /// `log_packets`.
    ///
    /// # Errors
    ///
    /// [`DataplaneError::Log`].
    pub fn packet_log(&mut self) -> Result<PacketLog, DataplaneError> {
        Ok(PacketLog(EbpfLogger::init(&mut self.ebpf)?))
    }

    /// Pins the program beside its maps, in place of the one before, so that tools find it by
    /// name. What keeps it running is the pinned links.
    fn pin_program(&mut self) -> Result<(), DataplaneError> {
        let Some(folder) = self.pins.clone() else { return Ok(()) };
        let path = folder.join("program");
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(DataplaneError::Io { path, source }),
        }
        self.program()?.pin(&path).map_err(|source| DataplaneError::Pin { path, source })
    }
}

/// Makes the folders, and refuses pins of another layout.
fn prepare(root: &Path) -> Result<PathBuf, DataplaneError> {
    let folder = layout::version_folder(root);
    if let Ok(entries) = fs::read_dir(root) {
        for entry in entries.flatten() {
            if entry.path() != folder {
                return Err(DataplaneError::OtherLayout { path: entry.path() });
            }
        }
    }
    for part in ["maps", "links"] {
        let path = folder.join(part);
        fs::create_dir_all(&path).map_err(|source| DataplaneError::Io { path, source })?;
    }
    Ok(folder)
}
