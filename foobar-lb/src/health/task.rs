//! One backend's probes, one after the other, in a task of its own.
#![forbid(unsafe_code)]

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{CheckResult, Health, HealthEvent, HealthState, Outcome, Target, TargetStatus, probe};
use crate::model::{BackendId, Probe};

/// The first probe waits this long at the most.
const MAX_JITTER: Duration = Duration::from_millis(50);

/// A target and the task that probes it; the task ends with this.
#[derive(Debug)]
pub(super) struct Running {
    target: Arc<Target>,
    observed: Arc<Mutex<Observed>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts probing at once, but for the jitter.
    pub(super) fn start(
        target: Target,
        observed: Observed,
        events: mpsc::Sender<HealthEvent>,
    ) -> Self {
        let target = Arc::new(target);
        let observed = Arc::new(Mutex::new(observed));
        let task = tokio::spawn(run(target.clone(), observed.clone(), events));
        Self { target, observed, task }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn observed(&self) -> MutexGuard<'_, Observed> {
        lock(&self.observed)
    }

    #[cfg(test)]
    pub(super) fn task_id(&self) -> tokio::task::Id {
        self.task.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The task may be running on another thread: its result must count no more.
        self.observed().retired = true;
        self.task.abort();
    }
}

/// What the probes of a target have shown so far.
#[derive(Debug)]
pub(super) struct Observed {
    state: HealthState,
    result: CheckResult,
    changed_at: Option<SystemTime>,
    checked_at: Option<SystemTime>,
    probing: bool,
    /// The target was removed or changed.
    retired: bool,
}

impl Observed {
    pub(super) fn new(health: Health, probe: &Probe) -> Self {
        Self {
            state: HealthState::new(health, probe.rise, probe.fall),
            result: CheckResult::initial(),
            changed_at: None,
            checked_at: None,
            probing: false,
            retired: false,
        }
    }

    /// The start of a changed probe on the same backend: the health stays, the count in a row
    /// begins anew.
    pub(super) fn restarted(&self, probe: &Probe) -> Self {
        Self {
            state: HealthState::new(self.health(), probe.rise, probe.fall),
            result: self.result.clone(),
            probing: false,
            retired: false,
            ..*self
        }
    }

    pub(super) fn health(&self) -> Health {
        self.state.health()
    }

    pub(super) fn status(&self, id: &BackendId) -> TargetStatus {
        TargetStatus {
            id: id.clone(),
            health: self.health(),
            result: self.result.clone(),
            streak: self.state.streak(),
            changed_at: self.changed_at,
            checked_at: self.checked_at,
            probing: self.probing,
        }
    }

    /// Takes a result in; true if it changed the health.
    fn take(&mut self, result: CheckResult) -> bool {
        let changed = self.state.observe(result.code.outcome());
        let now = SystemTime::now();
        self.checked_at = Some(now);
        if changed {
            self.changed_at = Some(now);
        }
        self.result = result;
        changed
    }
}

/// Nothing that holds the lock panics, and the data would still be whole.
fn lock(observed: &Mutex<Observed>) -> MutexGuard<'_, Observed> {
    observed.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(
    target: Arc<Target>,
    observed: Arc<Mutex<Observed>>,
    events: mpsc::Sender<HealthEvent>,
) {
    let interval = target.probe.interval.max(Duration::from_millis(1));
    let mut ticks = interval_at(Instant::now() + jitter(&target.id, interval), interval);
    // After a probe that took longer than the interval, the next one follows at once and the
    // others keep their distance from that one.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        lock(&observed).probing = true;
        let result = probe::run(target.address, &target.probe).await;
        // The place in the channel comes first: from the state's change to the event's sending
        // there is no await, so that a task aborted in between cannot swallow a change.
        let Ok(place) = events.reserve().await else { return };
        let mut observed = lock(&observed);
        if observed.retired {
            return;
        }
        observed.probing = false;
        let changed = observed.take(result.clone());
        let health = observed.health();
        report(&target, health, changed, &result);
        place.send(HealthEvent { id: target.id.clone(), health, changed, result });
    }
}

/// Spreads the probes of many targets, always in the same way for the same id.
fn jitter(id: &BackendId, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let share = (hasher.finish() >> 32) as f64 / 2f64.powi(32);
    (interval / 10).min(MAX_JITTER).mul_f64(share)
}

fn report(target: &Target, health: Health, changed: bool, result: &CheckResult) {
    let id = &target.id;
    match (changed, result.code.outcome()) {
        (true, _) => log::debug!("{id} is {health}: {result}"),
        (false, Outcome::Neutral) => log::warn!("{id} could not be probed: {result}"),
        (false, _) => log::debug!("{id} stays {health}: {result}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jitter_is_small_steady_and_spread() {
        let id = |port| BackendId {
            service: "web".into(),
            endpoint: format!("10.0.0.1:{port}").parse().unwrap(),
        };
        for interval in [Duration::from_millis(100), Duration::from_secs(2)] {
            let most = (interval / 10).min(MAX_JITTER);
            let mut seen: Vec<_> = (1..=1000).map(|port| jitter(&id(port), interval)).collect();
            assert!(seen.iter().all(|jitter| *jitter < most));
            assert_eq!(seen[0], jitter(&id(1), interval));
            seen.sort();
            // Ten equal parts of the range hold about a hundred each.
            for part in 0..10 {
                let (low, high) = (most * part / 10, most * (part + 1) / 10);
                let count = seen.iter().filter(|j| (low..high).contains(*j)).count();
                assert!((50..200).contains(&count), "{count} in part {part}");
            }
        }
    }
}
