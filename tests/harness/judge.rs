//! Verdicts on what a load has met: even shares, and which failures a dead server excuses.

use std::{collections::BTreeMap, fs, time::Instant};

use anyhow::{Context as _, Result, ensure};

use crate::load::Record;

/// A server's death by `kill -9`.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// Just before the signal (or the last time that it was seen alive).
    pub killed: Instant,
    /// When the kernel had closed all its sockets.
    pub gone: Instant,
}

/// Answers by server, over the requests that succeeded.
pub fn shares(records: &[Record]) -> BTreeMap<String, u64> {
    let mut shares = BTreeMap::new();
    for server in records.iter().filter_map(|record| record.outcome.as_ref().ok()) {
        *shares.entry(server.clone()).or_default() += 1;
    }
    shares
}

/// Whether shares are as equal as round-robin promises: every CPU walks the table on its own, so
/// each of them may leave one request between the largest and the smallest share.
pub fn check_even(shares: &[u64], cpus: u64) -> Result<()> {
    let (Some(least), Some(most)) = (shares.iter().min(), shares.iter().max()) else {
        return Ok(());
    };
    let apart = most - least;
    ensure!(apart <= cpus, "shares {shares:?} are {apart} apart; {cpus} CPUs allow {cpus}");
    Ok(())
}

/// Whether a failed request is one that was open on a server when it died.
///
/// It had begun before the server was gone, its connection had been accepted, and it ended after
/// the signal. A request that began later, or that never got a connection, has no excuse.
pub fn is_excused(record: &Record, deaths: &[Death]) -> bool {
    record.connected.is_some()
        && deaths.iter().any(|death| record.start <= death.gone && record.end >= death.killed)
}

/// The failed requests: those that were open on a dying server, and those without an excuse.
pub fn failures<'a>(records: &'a [Record], deaths: &[Death]) -> (Vec<&'a Record>, Vec<&'a Record>) {
    let failed = records.iter().filter(|record| record.outcome.is_err());
    failed.partition(|record| is_excused(record, deaths))
}

/// How many CPUs the kernel may ever have: what per-CPU maps and round-robin are sized by.
pub fn possible_cpus() -> Result<u64> {
    const FILE: &str = "/sys/devices/system/cpu/possible";
    let text = fs::read_to_string(FILE).with_context(|| format!("cannot read {FILE}"))?;
    count_cpus(text.trim()).with_context(|| format!("{FILE} says {text:?}"))
}

/// The size of a CPU list such as `0-3,8`.
fn count_cpus(list: &str) -> Option<u64> {
    list.split(',').try_fold(0, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        Some(sum + last.checked_sub(first)? + 1)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::{Failure, Stage};

    #[test]
    fn shares_may_be_one_request_per_cpu_apart() {
        assert!(check_even(&[10, 12, 11], 2).is_ok());
        assert!(check_even(&[10, 13, 11], 2).is_err());
        assert!(check_even(&[0, 0, 30], 2).is_err());
        assert!(check_even(&[], 2).is_ok());
    }

    #[test]
    fn only_a_connection_open_at_the_death_is_excused() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let death = Death { killed: at(1000), gone: at(1010) };
        let record = |start, connected: Option<u64>, end| Record {
            start: at(start),
            connected: connected.map(at),
            end: at(end),
            outcome: Err(Failure { stage: Stage::Receive, text: "reset".into() }),
        };
        for (what, record, excused) in [
            ("open when it died", record(995, Some(997), 1003), true),
            ("accepted while it died", record(1005, Some(1012), 1013), true),
            ("failed before", record(980, Some(985), 990), false),
            ("begun afterwards", record(1011, Some(1012), 1020), false),
            ("never connected", record(995, None, 9000), false),
        ] {
            assert_eq!(is_excused(&record, &[death]), excused, "{what}");
        }
    }

    #[test]
    fn cpu_lists_are_counted() {
        assert_eq!(count_cpus("0"), Some(1));
        assert_eq!(count_cpus("0-1"), Some(2));
        assert_eq!(count_cpus("0-3,8,10-11"), Some(7));
        assert_eq!(count_cpus(""), None);
        assert_eq!(count_cpus("3-1"), None);
    }
}
