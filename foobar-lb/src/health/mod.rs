//! Probes the backends and says what changes. It never touches maps, weights or configuration:
//! the controller hands in what is to be probed ([`Monitor::reconcile`]) and reads a stream of
//! [`HealthEvent`]s.
//!
//! | file | what |
//! |---|---|
//! | `result` | how one probe ended, in HAProxy's words |
//! | `state` | rise and fall: from results to health, pure |
//! | `probe` | runs one probe of any kind |
//! | `tcp`, `http` | one file a probe kind |
//! | `task` | one backend's probes, one after the other |
//!
//! Every probed backend has a task of its own, so that a slow backend delays no other.
#![forbid(unsafe_code)]

mod http;
mod probe;
mod result;
mod state;
mod task;
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    time::SystemTime,
};

use tokio::sync::mpsc;

use self::task::{Observed, Running};
pub use self::{
    result::{CheckCode, CheckResult, Outcome},
    state::{Health, HealthState},
};
use crate::model::{BackendId, Endpoint, Probe};

/// One backend to be probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose health it is.
    pub id: BackendId,
    /// Where the probe goes.
    pub address: Endpoint,
    /// What is asked, and how often.
    pub probe: Probe,
}

impl Target {
    /// Probes the backend's own address, on the probe's port where it names one.
    pub fn new(id: BackendId, probe: Probe) -> Self {
        let port = probe.port.unwrap_or(id.endpoint.port);
        Self { address: Endpoint { port, ..id.endpoint }, id, probe }
    }
}

/// One result, and the health after it. Sent for every probe, in order for each backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthEvent {
    /// Whose result it is. It may have been removed by the time that the event is read.
    pub id: BackendId,
    /// The health after this result.
    pub health: Health,
    /// Whether this result changed it.
    pub changed: bool,
    /// How the probe ended.
    pub result: CheckResult,
}

/// What is known of one probed backend, for status lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStatus {
    /// Whose health it is.
    pub id: BackendId,
    /// The health after all results so far.
    pub health: Health,
    /// The last result; its code is [`CheckCode::Ini`] before the first.
    pub result: CheckResult,
    /// Results of the last kind (good or bad) in a row.
    pub streak: u32,
    /// When the health last changed; `None` if it never did.
    pub changed_at: Option<SystemTime>,
    /// When the last result came; `None` before the first.
    pub checked_at: Option<SystemTime>,
    /// A probe is under way.
    pub probing: bool,
}

/// Runs the probes of all wanted targets. Dropping it stops them.
#[derive(Debug)]
pub struct Monitor {
    running: BTreeMap<BackendId, Running>,
    seeds: HashMap<BackendId, Health>,
    events: mpsc::Sender<HealthEvent>,
}

impl Monitor {
    /// A monitor without targets. While the receiver does not keep up, probes wait; once it is
    /// dropped, they end.
    pub fn new(events: mpsc::Sender<HealthEvent>) -> Self {
        Self { running: BTreeMap::new(), seeds: HashMap::new(), events }
    }

    /// Healths learnt before a restart: a target that the next [`Self::reconcile`] adds starts
    /// from there instead of [`Health::Unknown`], so that one lost probe right after the restart
    /// does not take it down. Targets that are probed already are left alone.
    pub fn seed(&mut self, healths: impl IntoIterator<Item = (BackendId, Health)>) {
        self.seeds.extend(healths);
    }

    /// Probes exactly `wanted` from now on. Unchanged targets go on undisturbed; changed ones keep
    /// their health and are probed afresh at once; others are started or stopped. Where an id
    /// comes twice, the last one counts.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, if a target has to be started.
    pub fn reconcile(&mut self, wanted: impl IntoIterator<Item = Target>) {
        let mut wanted: BTreeMap<BackendId, Target> =
            wanted.into_iter().map(|target| (target.id.clone(), target)).collect();
        self.running.retain(|id, _| wanted.contains_key(id));
        while let Some((id, target)) = wanted.pop_first() {
            match self.running.entry(id) {
                Entry::Occupied(entry) if *entry.get().target() == target => {}
                Entry::Occupied(mut entry) => {
                    let observed = entry.get().observed().restarted(&target.probe);
                    entry.insert(Running::start(target, observed, self.events.clone()));
                }
                Entry::Vacant(entry) => {
                    let health = self.seeds.remove(entry.key()).unwrap_or_default();
                    let observed = Observed::new(health, &target.probe);
                    entry.insert(Running::start(target, observed, self.events.clone()));
                }
            }
        }
        self.seeds.clear();
    }

    /// The health of one target; `None` if it is not probed.
    pub fn health(&self, id: &BackendId) -> Option<Health> {
        self.running.get(id).map(|running| running.observed().health())
    }

    /// All that is known of one target; `None` if it is not probed.
    pub fn status(&self, id: &BackendId) -> Option<TargetStatus> {
        self.running.get_key_value(id).map(|(id, running)| running.observed().status(id))
    }

    /// All that is known of all targets, in the order of their ids.
    pub fn snapshot(&self) -> Vec<TargetStatus> {
        self.running.iter().map(|(id, running)| running.observed().status(id)).collect()
    }
}
