//! What came of it: from records, events and counters to what was observed.

use std::time::{Duration, Instant, SystemTime};

use foobar_lb_tests::{
    controller::{Event, Stats},
    judge::{self, Death},
    load::Record,
};

use super::verdict::Observed;

/// Adds to `observed` what the records say.
pub fn observe(records: &[Record], deaths: &[Death], mut observed: Observed) -> Observed {
    let (excused, failed) = judge::failures(records, deaths);
    observed.requests = records.len() as u64;
    observed.excused = excused.len() as u64;
    let tell = |record: &&Record| record.outcome.as_ref().err().map(ToString::to_string);
    observed.failed = failed.iter().filter_map(tell).collect();
    let totals = judge::shares(records);
    for share in &mut observed.shares {
        share.total = totals.get(&share.name).copied().unwrap_or(0);
    }
    let answered = records.iter().filter(|record| record.outcome.is_ok());
    let mut times: Vec<Duration> = answered.map(|r| r.end - r.start).collect();
    times.sort_unstable();
    let part = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    observed.latency = [part(0.5), part(0.99), part(1.0)];
    observed
}

/// When the first request that began after `since` was answered by `server`.
pub fn first_answer(records: &[Record], server: &str, since: Instant) -> Option<Instant> {
    let answered = |record: &&Record| record.outcome.as_ref().is_ok_and(|name| name == server);
    let fresh = records.iter().filter(|record| record.start >= since).filter(answered);
    fresh.map(|record| record.end).min()
}

/// Whether an event says that a backend turned up or down.
pub fn tells(event: &Event, address: &str, health: &str, since_unix_ms: u64) -> bool {
    event.unix_ms >= since_unix_ms
        && event.text.contains(&format!("{address}:"))
        && event.text.to_lowercase().contains(&format!(" is {health}"))
}

/// The flows that a backend was given, over all services.
pub fn new_flows(stats: &Stats, address: &str) -> u64 {
    let backends = stats.services.iter().flat_map(|service| &service.backends);
    backends.filter(|b| b.address == address).map(|b| b.counters.new_flows).sum()
}

/// Now, in milliseconds since 1970.
pub fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_by_address_time_and_health() {
        let event = Event {
            seq: 1,
            unix_ms: 1000,
            kind: "health".to_owned(),
            text: "web/10.0.0.12:80 is DOWN: L4CON".to_owned(),
        };
        assert!(tells(&event, "10.0.0.12", "down", 1000));
        assert!(!tells(&event, "10.0.0.12", "down", 1001));
        assert!(!tells(&event, "10.0.0.12", "up", 1000));
        assert!(!tells(&event, "10.0.0.1", "down", 1000));
    }

    #[test]
    fn the_slow_are_told_apart() {
        let zero = Instant::now();
        let records: Vec<Record> = (1..=100)
            .map(|ms| Record {
                start: zero,
                connected: Some(zero),
                end: zero + Duration::from_millis(ms),
                outcome: Ok("b1".to_owned()),
            })
            .collect();
        let observed = observe(&records, &[], Observed::default());
        assert_eq!(observed.latency.map(|time| time.as_millis()), [51, 100, 100]);
        assert_eq!((observed.requests, observed.excused), (100, 0));
        let later = zero + Duration::from_millis(1);
        assert_eq!(first_answer(&records, "b1", zero), Some(later));
        assert_eq!(first_answer(&records, "b1", later), None);
    }
}
