//! Attaches the program to interfaces through pinned links, and takes over the links of an earlier
//! controller by replacing their program in one step: no packet meets an interface without one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::programs::{
    ProgramError,
    links::{FdLink, PinnedLink},
    xdp::XdpLink,
};

use super::{Dataplane, DataplaneError, XdpMode, detach::detach, maps::named};

/// An interface that the program is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The interface's index.
    pub interface: u32,
    /// How.
    pub mode: XdpMode,
    /// Whether it was attached already, and only the program was replaced.
    pub adopted: bool,
}

impl Dataplane {
    /// Attaches the program to the interface, in `mode`, or, without one, natively where the driver
    /// can and generically where it cannot. An attachment of an earlier controller is taken over
    /// in the mode that it has.
    ///
    /// # Errors
    ///
    /// [`DataplaneError::Attach`] says why the kernel refused, and what to do.
    pub fn attach(
        &mut self,
        interface: u32,
        name: &str,
        mode: Option<XdpMode>,
    ) -> Result<Attachment, DataplaneError> {
        for candidate in [XdpMode::Native, XdpMode::Generic] {
            let Some(path) = self.link_pin(interface, candidate) else { break };
            if !path.exists() {
                continue;
            }
            if mode.is_some_and(|wanted| wanted != candidate) {
                // The operator asks for the other mode: only a new attachment brings it.
                remove_link(&path)?;
            } else if self.take_over(&path)? {
                self.add_device(interface)?;
                return Ok(Attachment { interface, mode: candidate, adopted: true });
            }
        }

        let mode = match mode {
            Some(mode) => self.attach_new(interface, name, mode).map(|()| mode)?,
            None => match self.attach_new(interface, name, XdpMode::Native) {
                Ok(()) => XdpMode::Native,
                Err(DataplaneError::Attach { refusal, .. }) if is_unsupported(&refusal) => {
                    log::warn!(
                        "{name}: native XDP was refused ({}), using generic, which is slower{}",
                        said(&refusal),
                        cure(&refusal, name)
                    );
                    self.attach_new(interface, name, XdpMode::Generic)?;
                    XdpMode::Generic
                }
                Err(error) => return Err(error),
            },
        };
        self.add_device(interface)?;
        Ok(Attachment { interface, mode, adopted: false })
    }

    /// Detaches from every interface that is not in `keep`, and says from which.
    ///
    /// # Errors
    ///
    /// A pin that cannot be removed.
    pub fn detach_others(&mut self, keep: &[u32]) -> Result<Vec<u32>, DataplaneError> {
        let mut gone = Vec::new();
        if let Some(folder) = &self.pins {
            for (interface, path) in pinned_links(folder)? {
                if !keep.contains(&interface) {
                    remove_link(&path)?;
                    gone.push(interface);
                }
            }
        }
        let devices: Vec<u32> = self.maps.devices.keys().flatten().collect();
        for interface in devices.into_iter().filter(|device| !keep.contains(device)) {
            self.maps.devices.remove(interface).map_err(named("devices"))?;
        }
        Ok(gone)
    }

    /// Lets packets be redirected to the interface.
    ///
    /// # Errors
    ///
    /// The interface does not exist in this network namespace.
    pub fn add_device(&mut self, interface: u32) -> Result<(), DataplaneError> {
        self.maps.devices.insert(interface, interface, None, 0).map_err(|error| {
            let source = match error {
                aya::maps::xdp::XdpMapError::MapError(source) => source,
                other => aya::maps::MapError::IoError(io::Error::other(other)),
            };
            DataplaneError::Map { map: "devices", source }
        })
    }

    /// Replaces the program of a pinned link. `false`: its interface is gone; the pin was removed.
    fn take_over(&mut self, path: &Path) -> Result<bool, DataplaneError> {
        let link_error = |source| DataplaneError::Link { path: path.to_owned(), source };
        let pinned = PinnedLink::from_pin(path).map_err(link_error)?;
        let link: XdpLink = FdLink::from(pinned).try_into().map_err(link_error)?;
        match self.program()?.attach_to_link(link) {
            Ok(_) => Ok(true),
            Err(ProgramError::SyscallError(error))
                if matches!(error.io_error.raw_os_error(), Some(libc::ENOLINK | libc::ENODEV)) =>
            {
                remove_link(path)?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn attach_new(
        &mut self,
        interface: u32,
        name: &str,
        mode: XdpMode,
    ) -> Result<(), DataplaneError> {
        let path = self.link_pin(interface, mode);
        let program = self.program()?;
        let refused = |refusal| DataplaneError::Attach {
            interface: name.to_owned(),
            mode,
            said: said(&refusal),
            cure: cure(&refusal, name),
            refusal,
        };
        let id = program.attach_to_if_index(interface, mode.to_aya()).map_err(refused)?;
        let Some(path) = path else { return Ok(()) };
        let link: FdLink = program
            .take_link(id)?
            .try_into()
            .map_err(|source| DataplaneError::Link { path: path.clone(), source })?;
        link.pin(&path).map_err(|source| DataplaneError::Pin { path, source })?;
        Ok(())
    }

    fn link_pin(&self, interface: u32, mode: XdpMode) -> Option<PathBuf> {
        let folder = self.pins.as_ref()?;
        Some(folder.join("links").join(format!("{interface}-{mode}")))
    }
}

/// Whether another mode is worth a try.
fn is_unsupported(error: &ProgramError) -> bool {
    match error {
        ProgramError::SyscallError(error) => matches!(
            error.io_error.raw_os_error(),
            Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ERANGE | libc::ENOMEM)
        ),
        ProgramError::XdpError(_) => true,
        _ => false,
    }
}

/// What the kernel said, without the words around it.
fn said(error: &ProgramError) -> String {
    match error {
        ProgramError::SyscallError(error) => error.io_error.to_string(),
        other => other.to_string(),
    }
}

/// What to do about an interface that refuses.
fn cure(error: &ProgramError, name: &str) -> String {
    let ProgramError::SyscallError(error) = error else { return String::new() };
    match error.io_error.raw_os_error() {
        Some(libc::EBUSY | libc::EEXIST) => format!(
            "; another XDP program is attached: `bpftool net show dev {name}` and `bpftool link` \
             name it; end what holds it, or, if `ip` attached it, `ip link set dev {name} xdp off`"
        ),
        Some(libc::ERANGE | libc::EINVAL) => format!(
            "; if the MTU is above 3498, the driver may refuse it (XDP wants a frame in one page): \
             `ip link set dev {name} mtu 3498`"
        ),
        Some(libc::EPERM) => "; this needs root".to_owned(),
        _ => String::new(),
    }
}

/// Whether an earlier controller left its program attached.
pub(super) fn has_links(folder: &Path) -> Result<bool, DataplaneError> {
    Ok(!pinned_links(folder)?.is_empty())
}

/// The pinned links below `folder`: each interface's index and the pin.
fn pinned_links(folder: &Path) -> Result<Vec<(u32, PathBuf)>, DataplaneError> {
    let path = folder.join("links");
    let entries = fs::read_dir(&path).map_err(|source| DataplaneError::Io { path, source })?;
    Ok(entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let (interface, _) = name.to_str()?.split_once('-')?;
            Some((interface.parse().ok()?, entry.path()))
        })
        .collect())
}

/// Detaches a pinned link, and removes the pin.
fn remove_link(path: &Path) -> Result<(), DataplaneError> {
    detach(path)
        .and_then(|()| fs::remove_file(path))
        .map_err(|source| DataplaneError::Io { path: path.to_owned(), source })
}
