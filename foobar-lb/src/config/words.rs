//! The values that are written as single words, from the types in [`crate::model`].
#![forbid(unsafe_code)]

use std::fmt;

use crate::model::{AdminState, ForwardMode, Protocol, Scheduler};

/// A type whose values are written as single words.
pub trait Word: Copy + fmt::Display + 'static {
    /// Every value; each one's `Display` is the word.
    const ALL: &'static [Self];
    /// What other tools call it: (their word, ours).
    const ALIASES: &'static [(&'static str, &'static str)] = &[];
}

impl Word for Protocol {
    const ALL: &'static [Self] = &[Self::Tcp, Self::Udp];
}

impl Word for Scheduler {
    const ALL: &'static [Self] =
        &[Self::RoundRobin, Self::WeightedRoundRobin, Self::Maglev, Self::SourceHash];
    const ALIASES: &'static [(&'static str, &'static str)] = &[
        ("rr", "round-robin"),
        ("roundrobin", "round-robin"),
        ("wrr", "weighted-round-robin"),
        ("static-rr", "weighted-round-robin"),
        ("mh", "maglev"),
        ("sh", "source-hash"),
        ("source", "source-hash"),
    ];
}

impl Word for ForwardMode {
    const ALL: &'static [Self] = &[Self::Nat];
    const ALIASES: &'static [(&'static str, &'static str)] = &[("masq", "nat"), ("dnat", "nat")];
}

impl Word for AdminState {
    const ALL: &'static [Self] = &[Self::Ready, Self::Drain, Self::Maint];
    const ALIASES: &'static [(&'static str, &'static str)] = &[
        ("up", "ready"),
        ("enabled", "ready"),
        ("active", "ready"),
        ("draining", "drain"),
        ("down", "maint"),
        ("disabled", "maint"),
    ];
}

/// The values of `kind` in `[service.probe]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeWord {
    /// A TCP connection is accepted.
    Tcp,
    /// An HTTP request is answered.
    Http,
}

impl fmt::Display for ProbeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
        })
    }
}

impl Word for ProbeWord {
    const ALL: &'static [Self] = &[Self::Tcp, Self::Http];
}

/// The words of a type, as the file writes them.
pub fn words<W: Word>() -> Vec<String> {
    W::ALL.iter().map(W::to_string).collect()
}
