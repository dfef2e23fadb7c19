//! From nothing, or from what an earlier controller left, to a running controller.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use foobar_lb_common::map::BackendState;
use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{Duration, interval, timeout},
};

use crate::{
    api::types::EventKind,
    config::{self, LoadError},
    dataplane::{self, Dataplane, DataplaneError, LoadOptions, PacketLog, XdpMode},
    health::{Health, Monitor},
    model::{BackendId, Config},
    plan::{self, Image, PlanError},
    system::{self, Netlink, NetlinkError, NextHops, bpffs, privilege},
    text::count,
};

use super::{Command, ConfigFile, Controller, events::EventLog, interfaces::Interface};

/// Health events that wait for the controller.
const HEALTH_QUEUE: usize = 1024;
/// How long the first results of all probes are waited for, before packets are taken.
const FIRST_PROBES: Duration = Duration::from_secs(5);

/// How often the packet log is read.
const PACKET_LOG: Duration = Duration::from_millis(100);

/// What `foobar-lb run` was told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The interfaces, by name.
    pub interfaces: Vec<String>,
    /// The configuration file.
    pub config: PathBuf,
    /// Whether the file may be missing: it is then made by the first change.
    pub may_be_missing: bool,
    /// Where things are pinned.
    pub pin_root: PathBuf,
    /// How to attach; `None`: natively where the driver can.
    pub xdp_mode: Option<XdpMode>,
    /// Whether the packet path logs what it does not forward.
    pub log_packets: bool,
}

/// Why the controller cannot start. The packet path of an earlier one goes on.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// Netlink.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The BPF file system.
    #[error(transparent)]
    Bpffs(#[from] bpffs::BpffsError),
    /// The packet path.
    #[error(transparent)]
    Dataplane(#[from] DataplaneError),
    /// The configuration does not fit.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An interface that is not there.
    #[error("there is no interface `{name}`; there are: {}", there.join(", "))]
    NoInterface {
        /// As asked for.
        name: String,
        /// Those that are there.
        there: Vec<String>,
    },
    /// Without an interface there is nothing to do.
    #[error("name at least one interface: --iface eth0")]
    NoInterfaces,
}

impl Controller {
    /// Loads the packet path or takes it over, brings the maps up to date, probes every backend
    /// once, and attaches.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(
        options: &Options,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Self, StartError> {
        let was_there = options.pin_root.exists();
        let result = Self::try_start(options, commands).await;
        if result.is_err() && !was_there {
            // What could not start leaves nothing behind.
            if let Err(error) = dataplane::unload(&options.pin_root) {
                log::warn!("{error}");
            }
        }
        result
    }

    async fn try_start(
        options: &Options,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Self, StartError> {
        if let Ok(limit) = privilege::raise_open_files() {
            log::debug!("open files: {limit}");
        }
        let (text, config) = load_config(options)?;
        let netlink = Netlink::open()?;
        let interfaces = find_interfaces(&netlink, &options.interfaces).await?;
        let net_events = system::events::subscribe()?;

        if options.pin_root.starts_with(bpffs::MOUNT_POINT)
            && bpffs::ensure_mounted(Path::new(bpffs::MOUNT_POINT))?
        {
            log::info!("mounted the BPF file system on {}", bpffs::MOUNT_POINT);
        }
        let mut dataplane = Dataplane::load(&LoadOptions {
            limits: config.limits,
            pin_root: Some(options.pin_root.clone()),
            log_packets: options.log_packets,
        })?;
        if options.log_packets {
            read_packet_log(dataplane.packet_log()?);
        }
        let image = dataplane.image()?;

        let (health_sender, health) = mpsc::channel(HEALTH_QUEUE);
        let mut monitor = Monitor::new(health_sender);
        monitor.seed(known_health(&config, &image));
        let next_hops = NextHops::start(netlink.clone())?;
        let mut controller = Self {
            started: Instant::now(),
            pin_root: options.pin_root.clone(),
            xdp_mode: options.xdp_mode,
            file: ConfigFile { path: options.config.clone(), text, revision: 1, error: None },
            config,
            dataplane,
            image,
            fault: None,
            interfaces,
            monitor,
            health,
            netlink,
            next_hops,
            net_events,
            commands,
            log: EventLog::default(),
        };
        controller.tell_start();
        controller.ensure_sysctls();
        controller.reconcile();
        let first = controller.plan(&controller.config)?;
        controller.apply(first);
        if !controller.dataplane.is_adopted() {
            controller.await_first_probes().await;
        }
        controller.attach_all()?;
        controller.detach_others();
        controller.reconcile();
        Ok(controller)
    }

    fn tell_start(&mut self) {
        let text = if self.dataplane.is_adopted() {
            format!(
                "foobar-lb {} took over the running packet path: {}",
                env!("CARGO_PKG_VERSION"),
                count(self.image.services.len(), "service")
            )
        } else {
            format!("foobar-lb {} loaded the packet path", env!("CARGO_PKG_VERSION"))
        };
        self.log.push(EventKind::Controller, text);
        if self.file.text.is_none() {
            log::info!(
                "{} does not exist yet: starting without services; the first change makes it",
                self.file.path.display()
            );
        }
    }

    /// Waits for one result of every probe, so that the first packets already find their backends.
    async fn await_first_probes(&mut self) {
        let first_results = async {
            while self.monitor.snapshot().iter().any(|s| s.health == Health::Unknown) {
                match self.health.recv().await {
                    Some(event) => self.on_health(&event),
                    None => break,
                }
            }
        };
        if timeout(FIRST_PROBES, first_results).await.is_err() {
            log::warn!("some probes have no result yet; starting without their backends");
        }
    }

    /// Attaches to every interface; at the start, the first refusal ends it.
    fn attach_all(&mut self) -> Result<(), StartError> {
        for interface in &mut self.interfaces {
            let Some(link) = &interface.link else { continue };
            let attachment = self.dataplane.attach(link.ifindex, &link.name, self.xdp_mode)?;
            let how = if attachment.adopted { "taken over" } else { "attached" };
            self.log.push(
                EventKind::Interface,
                format!("interface {}: {how}, {} mode", link.name, attachment.mode),
            );
            interface.attachment = Some(attachment);
        }
        Ok(())
    }
}

fn load_config(options: &Options) -> Result<(Option<String>, Config), StartError> {
    match config::load(&options.config) {
        Ok((text, config)) => Ok((Some(text), config)),
        Err(LoadError::Missing { .. }) if options.may_be_missing => {
            let name = options.config.display().to_string();
            let config = config::parse("", &name).map_err(LoadError::from)?;
            Ok((None, config))
        }
        Err(error) => Err(error.into()),
    }
}

async fn find_interfaces(
    netlink: &Netlink,
    names: &[String],
) -> Result<Vec<Interface>, StartError> {
    if names.is_empty() {
        return Err(StartError::NoInterfaces);
    }
    let links = netlink.links().await?;
    let mut interfaces: Vec<Interface> = Vec::new();
    for name in names {
        if interfaces.iter().any(|known| known.name == *name) {
            continue;
        }
        let link = links.iter().find(|link| link.name == *name).cloned();
        if link.is_none() {
            let there = links.iter().map(|link| link.name.clone()).collect();
            return Err(StartError::NoInterface { name: name.clone(), there });
        }
        interfaces.push(Interface { name: name.clone(), link, attachment: None, fault: None });
    }
    Ok(interfaces)
}

/// What the maps say of the backends' health: those that take flows are up until proven otherwise,
/// so that neither a restart nor a new configuration takes anything out.
pub(super) fn known_health(config: &Config, image: &Image) -> Vec<(BackendId, Health)> {
    let index = image.index();
    let mut healths = Vec::new();
    for service in &config.services {
        let key = plan::service_key(service.protocol, service.endpoint);
        let Some(entry) = image.services.get(&key) else { continue };
        for backend in &service.backends {
            let state = index
                .backend(entry.id, backend.endpoint)
                .and_then(|id| image.backends.get(&id))
                .map(|backend| BackendState::from_byte(backend.state));
            if matches!(state, Some(BackendState::Up | BackendState::Drain)) {
                let id = BackendId { service: service.name.clone(), endpoint: backend.endpoint };
                healths.push((id, Health::Up));
            }
        }
    }
    healths
}

/// Hands what the packet path logs to the log, a few times a second.
fn read_packet_log(mut packets: PacketLog) {
    tokio::spawn(async move {
        let mut ticks = interval(PACKET_LOG);
        loop {
            ticks.tick().await;
            packets.flush();
        }
    });
}
