//! The controller: one task that owns the configuration, the health of the backends and the packet
//! path, and is the only one that changes any of them.
//!
//! ```text
//! requests ─┐
//! probes   ─┼─> desired + observed ─ plan ─> image ─ diff ─> operations ─> dataplane
//! netlink  ─┤
//! signals  ─┘
//! ```
//!
//! Must never touch a packet or a flow, and never apply half a configuration: what cannot be
//! planned, stored and applied is refused, and the last good one stays.
#![forbid(unsafe_code)]

mod change;
mod events;
mod interfaces;
mod report;
mod start;

use std::{path::PathBuf, time::Instant};

use thiserror::Error;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Duration, MissedTickBehavior, interval},
};

use crate::{
    api::types::{BackendChange, EventKind, NewBackend, NewService},
    dataplane::{Dataplane, DataplaneError, XdpMode},
    health::{Health, HealthEvent, Monitor, Target},
    model::{AdminState, BackendId, Config},
    plan::{self, Image, PlanError},
    system::{NetEvent, Netlink, NextHops},
};

use events::EventLog;
use interfaces::Interface;
pub use start::{Options, StartError};

/// How long after a refusal of the kernel's the plan is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What is asked of the controller.
#[derive(Clone, Debug)]
pub enum Request {
    /// `GET /v1/status`.
    Status,
    /// `GET /v1/stats`.
    Stats,
    /// `POST /v1/services`.
    AddService(NewService),
    /// `DELETE /v1/services/{name}`.
    RemoveService(String),
    /// `POST /v1/services/{name}/backends`.
    AddBackend {
        /// The service's name.
        service: String,
        /// The backend.
        backend: NewBackend,
    },
    /// `DELETE /v1/services/{name}/backends/{backend}`.
    RemoveBackend {
        /// The service's name.
        service: String,
        /// The backend's address and port.
        backend: String,
    },
    /// `PATCH /v1/services/{name}/backends/{backend}`.
    SetBackend {
        /// The service's name.
        service: String,
        /// The backend's address and port.
        backend: String,
        /// What changes.
        change: BackendChange,
    },
    /// `POST /v1/reload`.
    Reload,
    /// `POST /v1/unload`.
    Unload,
}

/// A request and where its answer goes.
#[derive(Debug)]
pub struct Command {
    /// What is asked.
    pub request: Request,
    /// Takes the answer, as JSON.
    pub reply: oneshot::Sender<Result<serde_json::Value, ChangeError>>,
}

/// Why a request was not carried out. Nothing was changed, but where it says otherwise.
#[derive(Clone, Debug, Error)]
pub enum ChangeError {
    /// It names something that is not there.
    #[error("{0}")]
    NotFound(String),
    /// It does not fit what is there, or the file was changed meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// It is wrong in itself.
    #[error("{0}")]
    Invalid(String),
    /// The system or the kernel refused.
    #[error("{0}")]
    Failed(String),
}

/// How the controller ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The packet path goes on without it.
    Leave,
    /// The packet path is removed.
    Unload,
}

/// The configuration file: where it is, and the text that is in force.
struct ConfigFile {
    path: PathBuf,
    /// `None`: there was no file.
    text: Option<String>,
    /// Counts the configurations in force since the start.
    revision: u64,
    /// Why the file's last version is not in force.
    error: Option<String>,
}

/// See the module.
pub struct Controller {
    started: Instant,
    pin_root: PathBuf,
    xdp_mode: Option<XdpMode>,
    file: ConfigFile,
    config: Config,
    dataplane: Dataplane,
    /// What the maps hold.
    image: Image,
    /// Why the maps do not hold what they should.
    fault: Option<String>,
    interfaces: Vec<Interface>,
    monitor: Monitor,
    health: mpsc::Receiver<HealthEvent>,
    netlink: Netlink,
    next_hops: NextHops,
    net_events: mpsc::Receiver<NetEvent>,
    commands: mpsc::Receiver<Command>,
    log: EventLog,
}

impl Controller {
    /// Runs until a signal or an unload ends it. The packet path goes on after SIGTERM and SIGINT.
    ///
    /// # Errors
    ///
    /// The pins could not be removed by an unload.
    pub async fn run(mut self, mut signals: Signals) -> Result<(), DataplaneError> {
        // A clock of its own: a sleep made anew for each turn of the loop would never end where probes
        // report more often than it lasts.
        let mut retry = interval(RETRY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            tokio::select! {
                Some(command) = self.commands.recv() => {
                    if self.serve(command) {
                        break End::Unload;
                    }
                }
                Some(event) = self.health.recv() => self.on_health(&event),
                Some(event) = self.net_events.recv() => self.on_net_event(event).await,
                _ = retry.tick(), if self.needs_retry() => self.retry(),
                _ = signals.hangup.recv() => {
                    if let Err(error) = self.reload() {
                        log::error!("reload: {error}");
                    }
                }
                _ = signals.terminate.recv() => break End::Leave,
                _ = signals.interrupt.recv() => break End::Leave,
            }
        };
        match end {
            End::Leave => {
                log::info!(
                    "the controller ends; the packet path goes on without it, but no backend is \
                     probed any more (`foobar-lb unload` removes it)"
                );
                Ok(())
            }
            End::Unload => self.unload().await,
        }
    }

    /// Answers a request. `true`: the controller is to unload and end.
    fn serve(&mut self, Command { request, reply }: Command) -> bool {
        let unload = matches!(request, Request::Unload);
        let answer = match request {
            Request::Status => to_json(&self.status()),
            Request::Stats => self.stats().and_then(|stats| to_json(&stats)),
            Request::Reload => self.reload().and_then(|changed| to_json(&changed)),
            Request::Unload => to_json(&self.changed("unloading")),
            change => self.change(change).and_then(|changed| to_json(&changed)),
        };
        // Nobody may be waiting any more.
        let _ = reply.send(answer);
        unload
    }

    fn on_health(&mut self, event: &HealthEvent) {
        // Events of a backend that was removed meanwhile may still be under way.
        if !event.changed || self.monitor.health(&event.id).is_none() {
            return;
        }
        let HealthEvent { id, health, result, .. } = event;
        self.log.push(EventKind::Health, format!("backend {id} is {health}: {result}"));
        self.replan();
    }

    /// Plans for the present configuration and health, and applies the difference.
    fn replan(&mut self) {
        match self.plan(&self.config) {
            Ok(next) => self.apply(next),
            Err(error) => self.set_fault(error.to_string()),
        }
    }

    fn plan(&self, config: &Config) -> Result<Image, PlanError> {
        plan::plan(config, |id| is_up(config, &self.monitor, id), &self.image)
    }

    /// Brings the maps to `next`. After a failure the maps are read anew and the plan is made
    /// again, a little later.
    fn apply(&mut self, next: Image) {
        let before = self.services_up();
        let ops = plan::diff(&self.image, &next);
        match self.dataplane.apply(&ops) {
            Ok(()) => {
                self.image = next;
                if self.fault.take().is_some() {
                    self.log.push(EventKind::Fault, "the kernel's maps are right again".to_owned());
                }
            }
            Err(error) => self.set_fault(error.to_string()),
        }
        self.tell_services(&before);
    }

    /// Whether the kernel refused something that may go well later.
    fn needs_retry(&self) -> bool {
        self.fault.is_some() || self.interfaces.iter().any(Interface::is_to_be_attached)
    }

    fn retry(&mut self) {
        if self.fault.is_some() {
            self.reread_and_replan();
        }
        for position in 0..self.interfaces.len() {
            if self.interfaces[position].is_to_be_attached() {
                self.attach(position);
            }
        }
    }

    fn reread_and_replan(&mut self) {
        match self.dataplane.image() {
            Ok(image) => {
                self.image = image;
                self.replan();
            }
            Err(error) => self.set_fault(error.to_string()),
        }
    }

    fn set_fault(&mut self, fault: String) {
        if self.fault.as_ref() != Some(&fault) {
            self.log.push(EventKind::Fault, fault.clone());
            self.fault = Some(fault);
        }
    }

    /// Which services take new flows.
    fn services_up(&self) -> Vec<(String, bool)> {
        self.config
            .services
            .iter()
            .map(|service| {
                let key = plan::service_key(service.protocol, service.endpoint);
                let up = self.image.services.get(&key).is_some_and(|entry| entry.table_len > 0);
                (service.name.clone(), up)
            })
            .collect()
    }

    fn tell_services(&mut self, before: &[(String, bool)]) {
        for (name, up) in self.services_up() {
            if before.iter().any(|(old, was)| *old == name && *was != up) {
                let text = if up {
                    format!("service {name} is up")
                } else {
                    format!("service {name} is down: no backend takes new flows")
                };
                self.log.push(EventKind::Service, text);
            }
        }
    }

    /// Probes and resolves what the configuration names.
    fn reconcile(&mut self) {
        self.monitor.reconcile(targets(&self.config));
        let backends = self
            .config
            .services
            .iter()
            .flat_map(|service| service.backends.iter().map(|b| b.endpoint.address));
        let interfaces = self.interfaces.iter().filter_map(Interface::attached_ifindex);
        self.next_hops.reconcile(backends, interfaces);
    }

    async fn unload(mut self) -> Result<(), DataplaneError> {
        self.monitor.reconcile([]);
        drop(self.next_hops);
        if let Err(error) = self.netlink.release_neighbours().await {
            log::warn!("neighbours could not be released: {error}");
        }
        drop(self.dataplane);
        let removed = crate::dataplane::unload(&self.pin_root)?;
        log::info!("unloaded: {removed} pins removed; packets are the kernel's again");
        Ok(())
    }
}

/// Whether a backend counts as up: without a probe it does.
fn is_up(config: &Config, monitor: &Monitor, id: &BackendId) -> bool {
    let probed = config
        .services
        .iter()
        .find(|service| service.name == id.service)
        .is_some_and(|service| service.probe.is_some());
    !probed || monitor.health(id) == Some(Health::Up)
}

/// What is to be probed: every backend of a service with a probe, but those in maintenance.
fn targets(config: &Config) -> Vec<Target> {
    config
        .services
        .iter()
        .filter_map(|service| Some((service, service.probe.as_ref()?)))
        .flat_map(|(service, probe)| {
            service.backends.iter().filter(|b| b.state != AdminState::Maint).map(|backend| {
                let id = BackendId { service: service.name.clone(), endpoint: backend.endpoint };
                Target::new(id, probe.clone())
            })
        })
        .collect()
}

fn to_json(value: &impl serde::Serialize) -> Result<serde_json::Value, ChangeError> {
    serde_json::to_value(value).map_err(|error| ChangeError::Failed(error.to_string()))
}

/// The signals that the controller heeds.
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from their default actions.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}
