//! Judging what the demo has shown, and telling it to people and to programs.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use foobar_lb_tests::judge as rules;

/// Failed requests that are told one by one.
const TOLD: usize = 3;

/// What was observed.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Possible CPUs.
    pub cpus: u64,
    /// `native` or `generic`.
    pub xdp_mode: String,
    /// How long the traffic ran.
    pub seconds: f64,
    /// A share a backend.
    pub shares: Vec<Share>,
    /// The name of the server that was killed.
    pub victim: String,
    /// From the kill until the controller had it down; `None`: it never had.
    pub detect_ms: Option<u64>,
    /// From listening until it was up and had answered; `None`: it never had.
    pub recover_ms: Option<u64>,
    /// The limit of both.
    pub limit_ms: u64,
    /// New flows that the dead backend was given after it was known to be down.
    pub flows_to_dead: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Why requests failed that had no excuse.
    pub failed: Vec<String>,
    /// Requests that failed because they were open on the killed server.
    pub excused: u64,
    /// Of answered requests: the median, the 99th percentile, the slowest.
    pub latency: [Duration; 3],
    /// What could not be removed.
    pub leftovers: Vec<String>,
}

/// A backend's part.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// The server's name.
    pub name: String,
    /// The backend's address.
    pub address: String,
    /// Requests that it answered while all were up.
    pub all_up: u64,
    /// Flows that foobar-lb counted in that time.
    pub flows: u64,
    /// Requests that it answered in all.
    pub total: u64,
}

/// A claim, and whether it held: what to say for it, or against it.
pub struct Claim {
    name: &'static str,
    outcome: Result<String>,
}

/// All claims.
pub struct Verdict {
    claims: Vec<Claim>,
}

impl Verdict {
    /// Whether every claim held.
    pub fn held(&self) -> bool {
        self.claims.iter().all(|claim| claim.outcome.is_ok())
    }
}

/// Judges every claim by itself.
pub fn judge(observed: &Observed) -> Verdict {
    let claim = |name, outcome| Claim { name, outcome };
    Verdict {
        claims: vec![
            claim("shares", shares(observed)),
            claim("counters", counters(observed)),
            claim("detection", detection(observed)),
            claim("isolation", isolation(observed)),
            claim("recovery", recovery(observed)),
            claim("requests", requests(observed)),
            claim("clean-up", clean_up(observed)),
        ],
    }
}

fn shares(Observed { shares, cpus, .. }: &Observed) -> Result<String> {
    let counts: Vec<u64> = shares.iter().map(|share| share.all_up).collect();
    ensure!(counts.iter().all(|count| *count > 0), "a backend got nothing: {counts:?}");
    rules::check_even(&counts, *cpus)?;
    let list: Vec<_> = shares.iter().map(|s| format!("{} {}", s.name, s.all_up)).collect();
    let apart = counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0);
    Ok(format!("{} while all were up: {apart} apart, {cpus} CPUs allow {cpus}", list.join(", ")))
}

fn counters(Observed { shares, .. }: &Observed) -> Result<String> {
    for Share { name, all_up, flows, .. } in shares {
        ensure!(all_up == flows, "foobar-lb counted {flows} flows to {name}, the client {all_up}");
    }
    Ok("foobar-lb's own match the client's, flow by flow".to_owned())
}

fn detection(Observed { victim, detect_ms, limit_ms, .. }: &Observed) -> Result<String> {
    let took = detect_ms.with_context(|| format!("{victim} was killed, and stayed in"))?;
    ensure!(
        took <= *limit_ms,
        "{victim} was out only {took} ms after the kill; the limit is {limit_ms} ms"
    );
    Ok(format!("{victim} was out {took} ms after kill -9; the limit is {limit_ms} ms"))
}

fn isolation(Observed { victim, flows_to_dead, .. }: &Observed) -> Result<String> {
    ensure!(*flows_to_dead == 0, "{victim} was given {flows_to_dead} new flows while it was out");
    Ok(format!("no new flow went to {victim} while it was out"))
}

fn recovery(Observed { victim, recover_ms, limit_ms, .. }: &Observed) -> Result<String> {
    let took = recover_ms.with_context(|| format!("{victim} was back, and got no traffic"))?;
    ensure!(
        took <= *limit_ms,
        "{victim} answered only {took} ms after it was back; the limit is {limit_ms} ms"
    );
    Ok(format!("{victim} answered again {took} ms after it was back; the limit is {limit_ms} ms"))
}

fn requests(Observed { requests, failed, excused, .. }: &Observed) -> Result<String> {
    if !failed.is_empty() {
        let some = failed.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
        bail!("{} of {requests} failed without an excuse: {some}", failed.len());
    }
    ensure!(*requests > 0, "not one was made");
    let answered = requests - excused;
    Ok(format!("{answered} answered, 0 failed; {excused} more broke, open on the killed server"))
}

fn clean_up(Observed { leftovers, .. }: &Observed) -> Result<String> {
    ensure!(leftovers.is_empty(), "{}", leftovers.join("; "));
    Ok("programs, maps, namespaces and processes are gone".to_owned())
}

/// The summary for people.
pub fn text(observed: &Observed, verdict: &Verdict, colours: bool) -> String {
    let paint = |code: &str, text: &str| match colours {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let broken = verdict.claims.iter().filter(|claim| claim.outcome.is_err()).count();
    let title = match broken {
        0 => paint("1;32", "foobar-lb demo: all held"),
        _ => paint(
            "1;31",
            &format!("foobar-lb demo: {broken} of {} claims broken", verdict.claims.len()),
        ),
    };
    let mut out = format!("\n{title}\n\n");
    for Claim { name, outcome } in &verdict.claims {
        let (mark, told) = match outcome {
            Ok(told) => (paint("32", "✓"), told.clone()),
            Err(error) => (paint("31", "✗"), format!("{error:#}")),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {mark} {name:<10} {told}");
    }
    let Observed { xdp_mode, requests, seconds, latency, .. } = observed;
    let [median, p99, slowest] = latency.map(|time| time.as_secs_f64() * 1e3);
    let _ = writeln!(
        out,
        "\n  {requests} requests in {seconds:.1} s over XDP ({xdp_mode}); half took less than \
         {median:.1} ms,\n  99 of 100 less than {p99:.1} ms, the slowest {slowest:.0} ms\n"
    );
    out
}

/// The summary for programs.
pub fn json(observed: &Observed, verdict: &Verdict) -> Result<String> {
    let Observed { shares, latency, .. } = observed;
    let by_address = |count: fn(&Share) -> u64| {
        let counts = shares.iter().map(|share| (share.address.clone(), count(share).into()));
        serde_json::Value::Object(counts.collect())
    };
    let [median, p99, slowest] = latency.map(|time| time.as_micros() as u64);
    let broken = verdict.claims.iter().filter_map(|claim| {
        let error = claim.outcome.as_ref().err()?;
        Some(serde_json::json!({ "claim": claim.name, "error": format!("{error:#}") }))
    });
    let object = serde_json::json!({
        "held": verdict.held(),
        "broken": broken.collect::<Vec<_>>(),
        "requests": observed.requests,
        "failed": observed.failed.len(),
        "failed_open_on_killed": observed.excused,
        "failures": observed.failed,
        "backends": by_address(|share| share.total),
        "backends_while_all_up": by_address(|share| share.all_up),
        "possible_cpus": observed.cpus,
        "detect_ms": observed.detect_ms,
        "recover_ms": observed.recover_ms,
        "limit_ms": observed.limit_ms,
        "new_flows_to_dead": observed.flows_to_dead,
        "latency_us": { "median": median, "p99": p99, "slowest": slowest },
        "seconds": observed.seconds,
        "xdp_mode": observed.xdp_mode,
    });
    serde_json::to_string(&object).context("cannot write JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Observed {
        let share = |n: u64, all_up| Share {
            name: format!("b{n}"),
            address: format!("10.0.0.{}", 10 + n),
            all_up,
            flows: all_up,
            total: all_up,
        };
        Observed {
            cpus: 2,
            xdp_mode: "native".to_owned(),
            shares: vec![share(1, 100), share(2, 102), share(3, 101)],
            victim: "b2".to_owned(),
            detect_ms: Some(300),
            recover_ms: Some(400),
            limit_ms: 900,
            requests: 303,
            ..Observed::default()
        }
    }

    /// The names of the claims that are broken.
    fn broken(change: impl FnOnce(&mut Observed)) -> Vec<&'static str> {
        let mut observed = good();
        change(&mut observed);
        let claims = judge(&observed).claims.into_iter();
        claims.filter(|claim| claim.outcome.is_err()).map(|claim| claim.name).collect()
    }

    #[test]
    fn each_claim_breaks_by_itself() {
        assert_eq!(broken(|_| ()), [""; 0]);
        assert_eq!(broken(|o| o.cpus = 1), ["shares"]);
        assert_eq!(broken(|o| o.shares[0].flows = 99), ["counters"]);
        assert_eq!(broken(|o| o.detect_ms = None), ["detection"]);
        assert_eq!(broken(|o| o.detect_ms = Some(901)), ["detection"]);
        assert_eq!(broken(|o| o.flows_to_dead = 1), ["isolation"]);
        assert_eq!(broken(|o| o.recover_ms = None), ["recovery"]);
        assert_eq!(broken(|o| o.failed = vec!["reset".to_owned()]), ["requests"]);
        assert_eq!(broken(|o| o.excused = 2), [""; 0]);
        assert_eq!(broken(|o| o.leftovers = vec!["a pin".to_owned()]), ["clean-up"]);
    }

    #[test]
    fn the_json_has_what_the_tests_read() {
        let observed = good();
        let text = json(&observed, &judge(&observed)).expect("an object");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["failed"], 0);
        assert_eq!(value["backends"]["10.0.0.12"], 102);
        assert_eq!(value["detect_ms"], 300);
        assert_eq!(value["xdp_mode"], "native");
    }
}
