//! The recent events, for people: each is logged once and kept for a while.

use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::api::types::{Event, EventKind};

/// Events that are kept.
const KEPT: usize = 256;

#[derive(Debug, Default)]
pub(super) struct EventLog {
    events: VecDeque<Event>,
    next: u64,
}

impl EventLog {
    /// Logs and keeps an event.
    pub(super) fn push(&mut self, kind: EventKind, text: String) {
        match kind {
            EventKind::Fault => log::error!("{text}"),
            EventKind::Controller
            | EventKind::Health
            | EventKind::Service
            | EventKind::Config
            | EventKind::Interface => log::info!("{text}"),
        }
        self.keep(kind, text);
    }

    /// Logs as a warning and keeps an event.
    pub(super) fn warn(&mut self, kind: EventKind, text: String) {
        log::warn!("{text}");
        self.keep(kind, text);
    }

    fn keep(&mut self, kind: EventKind, text: String) {
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            seq: self.next,
            unix_ms: unix_ms(SystemTime::now()),
            kind,
            text,
        });
        self.next += 1;
    }

    /// Oldest first.
    pub(super) fn recent(&self) -> Vec<Event> {
        self.events.iter().cloned().collect()
    }
}

/// Milliseconds since 1970.
pub(super) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
