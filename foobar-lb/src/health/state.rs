//! From results to health: rise and fall, as a pure state machine.
//!
//! No clock, no I/O: [`super::Monitor`] feeds it one result after the other.
#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Serialize};

use super::result::Outcome;

/// Whether a backend answers its probes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No probe has ended yet.
    #[default]
    Unknown,
    /// It does.
    Up,
    /// It does not.
    Down,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// The health of one backend and the results in a row that may change it.
///
/// ```text
///            first result good                 first result bad
///          ┌──────────────────── Unknown ────────────────────────┐
///          v                                                     v
///         Up ──────────── `fall` bad ones in a row ──────────> Down
///          ^───────────── `rise` good ones in a row ─────────────┘
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthState {
    health: Health,
    rise: u32,
    fall: u32,
    last: Outcome,
    streak: u32,
}

impl HealthState {
    /// Starts at `health`, which is not [`Health::Unknown`] where it was learnt before (a restart).
    /// A `rise` or `fall` of 0 counts as 1.
    pub fn new(health: Health, rise: u32, fall: u32) -> Self {
        Self { health, rise: rise.max(1), fall: fall.max(1), last: Outcome::Neutral, streak: 0 }
    }

    /// Takes one result in; true if it changed the health. A neutral one changes nothing.
    pub fn observe(&mut self, outcome: Outcome) -> bool {
        if outcome == Outcome::Neutral {
            return false;
        }
        self.streak = if outcome == self.last { self.streak.saturating_add(1) } else { 1 };
        self.last = outcome;
        let next = match (self.health, outcome) {
            (Health::Unknown, Outcome::Good) => Health::Up,
            (Health::Unknown, Outcome::Bad) => Health::Down,
            (Health::Up, Outcome::Bad) if self.streak >= self.fall => Health::Down,
            (Health::Down, Outcome::Good) if self.streak >= self.rise => Health::Up,
            (same, _) => same,
        };
        let changed = next != self.health;
        self.health = next;
        changed
    }

    /// The health after all results so far.
    pub fn health(&self) -> Health {
        self.health
    }

    /// How many results of the last kind (good or bad) came in a row.
    pub fn streak(&self) -> u32 {
        self.streak
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule as one would say it, over the whole history.
    fn naive(start: Health, rise: usize, fall: usize, history: &[Outcome]) -> Health {
        let told: Vec<Outcome> =
            history.iter().copied().filter(|o| *o != Outcome::Neutral).collect();
        let mut health = start;
        for end in 1..=told.len() {
            let last_are = |outcome, count: usize| {
                end >= count && told[end - count..end].iter().all(|o| *o == outcome)
            };
            health = match health {
                Health::Unknown if last_are(Outcome::Good, 1) => Health::Up,
                Health::Unknown => Health::Down,
                Health::Up if last_are(Outcome::Bad, fall.max(1)) => Health::Down,
                Health::Down if last_are(Outcome::Good, rise.max(1)) => Health::Up,
                same => same,
            };
        }
        health
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            4 => Just(Outcome::Good),
            4 => Just(Outcome::Bad),
            1 => Just(Outcome::Neutral),
        ]
    }

    fn health() -> impl Strategy<Value = Health> {
        prop_oneof![Just(Health::Unknown), Just(Health::Up), Just(Health::Down)]
    }

    proptest! {
        #[test]
        fn follows_the_naive_model(
            start in health(),
            rise in 0u32..5,
            fall in 0u32..5,
            history in prop::collection::vec(outcome(), 0..60),
        ) {
            let mut state = HealthState::new(start, rise, fall);
            for end in 1..=history.len() {
                let before = state.health();
                let changed = state.observe(history[end - 1]);
                let expected = naive(start, rise as usize, fall as usize, &history[..end]);
                prop_assert_eq!(state.health(), expected);
                prop_assert_eq!(changed, before != expected);
            }
        }

        #[test]
        fn the_streak_counts_the_results_at_the_end(
            history in prop::collection::vec(outcome(), 1..60),
        ) {
            let mut state = HealthState::new(Health::Unknown, 2, 3);
            for outcome in &history {
                state.observe(*outcome);
            }
            let mut told = history.iter().rev().filter(|o| **o != Outcome::Neutral).peekable();
            let expected = match told.peek().copied() {
                Some(last) => told.take_while(|o| *o == last).count(),
                None => 0,
            };
            prop_assert_eq!(state.streak() as usize, expected);
        }
    }

    #[test]
    fn the_first_result_decides_at_once() {
        for (outcome, health) in [(Outcome::Good, Health::Up), (Outcome::Bad, Health::Down)] {
            let mut state = HealthState::new(Health::Unknown, 5, 5);
            assert!(state.observe(outcome));
            assert_eq!(state.health(), health);
        }
    }

    #[test]
    fn a_seeded_state_needs_the_whole_fall() {
        let mut state = HealthState::new(Health::Up, 2, 3);
        assert!(!state.observe(Outcome::Bad));
        assert!(!state.observe(Outcome::Bad));
        assert!(!state.observe(Outcome::Neutral));
        assert!(state.observe(Outcome::Bad));
        assert_eq!(state.health(), Health::Down);
    }
}
