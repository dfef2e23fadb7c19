//! What happens when: all up, one killed, the dead one back; and the measuring of it.

use std::{
    collections::BTreeMap,
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use foobar_lb_tests::{
    controller::Status,
    judge::{self, Death},
    wait_until,
};

use super::{
    Args, is_set,
    measure::{first_answer, new_flows, observe, tells, unix_ms},
    stage::{self, Stage},
    verdict::{Observed, Share},
    view::{Frame, Row, View},
};

/// How long foobar-lb may take until all backends are up.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// For requests in flight to end: a SYN that a dead backend swallowed is sent again for seconds.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(17);
/// From one look at the controller to the next.
const TICK: Duration = Duration::from_millis(250);
/// The same, while a change is waited for.
const FAST_TICK: Duration = Duration::from_millis(50);
/// The load runs this long after the count, so that connections are open at the kill.
const LEAD: Duration = Duration::from_millis(500);
/// The backend that is killed.
const VICTIM: usize = 1;
/// With `--interactive`: how long a server that somebody killed stays dead.
const DEAD_FOR: Duration = Duration::from_secs(6);

/// Plays the script, and returns what was observed; `None`: interrupted before its end.
pub fn play(
    stage: &mut Stage,
    view: &mut View,
    args: &Args,
    cpus: u64,
    interrupted: &AtomicBool,
) -> Result<Option<Observed>> {
    let start = Instant::now();
    let until = Duration::from_secs(args.seconds);
    let mut play = Play {
        stage,
        view,
        interrupted,
        start,
        until,
        next_event: 0,
        seen: 0,
        seen_failed: 0,
        seen_shares: BTreeMap::new(),
        last: None,
    };
    match play.script(cpus, args.interactive) {
        Err(error) if is_set(interrupted) && error.is::<Interrupted>() => Ok(None),
        played => played.map(Some),
    }
}

/// Somebody wants us to end.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

struct Play<'a, 'lab> {
    stage: &'a mut Stage<'lab>,
    view: &'a mut View,
    interrupted: &'a AtomicBool,
    /// Of the traffic.
    start: Instant,
    until: Duration,
    /// The first event that has not been shown.
    next_event: u64,
    /// Of the requests that have ended: how many, how many failed, and who answered how many.
    seen: usize,
    seen_failed: u64,
    seen_shares: BTreeMap<String, u64>,
    /// When the last look was, and the counters then: (packets in, packets out, requests).
    last: Option<(Instant, [u64; 3])>,
}

impl Play<'_, '_> {
    fn script(&mut self, cpus: u64, interactive: bool) -> Result<Observed> {
        let names: Vec<String> = (0..self.stage.servers.len()).map(Stage::name).collect();
        let victim = &names[VICTIM];

        // Until all are up.
        let status = self.wait_until_up()?;
        let xdp_mode = status.xdp_mode();
        self.view.event(format!("foobar-lb runs (pid {}), XDP mode {xdp_mode}", status.pid));

        // All up: counted exactly, by the client and by foobar-lb.
        self.start = Instant::now();
        self.stage.load()?.resume();
        self.watch_until("all backends up", self.until / 2 - LEAD)?;
        self.stage.load()?.pause(DRAIN_TIMEOUT)?;
        let counted = judge::shares(&self.stage.load()?.records_from(0));
        let (_, stats) = self.stage.ask()?;
        let shares = names.iter().enumerate().map(|(index, name)| Share {
            name: name.clone(),
            address: self.stage.address(index),
            all_up: counted.get(name).copied().unwrap_or(0),
            flows: new_flows(&stats, &self.stage.address(index)),
            total: 0,
        });
        let shares: Vec<Share> = shares.collect();
        self.stage.load()?.resume();
        self.watch_until("all backends up", self.until / 2)?;

        // Kill.
        let pid = self.stage.servers[VICTIM].as_ref().map_or(0, |server| server.process.pid());
        let killed_unix_ms = unix_ms();
        let death = self.stage.kill_server(VICTIM)?;
        self.view.event(format!("kill -9 of {victim}'s server (pid {pid})"));
        let down = self.watch_health("down", "a backend is dead", killed_unix_ms)?;
        let detect_ms = down.map(|at| at.saturating_sub(killed_unix_ms));
        let flows_when_down = self.victims_flows()?;
        self.watch_until("a backend is dead", self.until * 3 / 4)?;
        let flows_to_dead = self.victims_flows()? - flows_when_down;

        // And back.
        self.stage.restart_server(VICTIM)?;
        let (listening, listening_unix_ms) = (Instant::now(), unix_ms());
        self.view.event(format!("{victim}'s server listens again"));
        let up = self.watch_health("up", "a backend comes back", listening_unix_ms)?;
        self.watch_until("all backends up again", self.until)?;

        let mut deaths = vec![death];
        if interactive {
            self.stay(&mut deaths)?;
        }
        self.stage.load()?.pause(DRAIN_TIMEOUT)?;
        let seconds = self.start.elapsed().as_secs_f64();
        let load = self.stage.load.take().context("the load has ended")?;
        let records = load.stop()?;
        // Health is one half of a recovery; an answered request is the other.
        let recover_ms = up.zip(first_answer(&records, victim, listening)).map(|(up, answer)| {
            let answer = answer.duration_since(listening).as_millis() as u64;
            up.saturating_sub(listening_unix_ms).max(answer)
        });
        let limit_ms = stage::health_limit().as_millis() as u64;
        Ok(observe(
            &records,
            &deaths,
            Observed {
                cpus,
                xdp_mode,
                seconds,
                shares,
                victim: victim.clone(),
                detect_ms,
                recover_ms,
                limit_ms,
                flows_to_dead,
                ..Observed::default()
            },
        ))
    }

    /// Waits until all backends are up; ends early when it is interrupted, or foobar-lb ends.
    fn wait_until_up(&mut self) -> Result<Status> {
        let Self { stage, interrupted, .. } = self;
        let up = wait_until("all backends to be up", START_TIMEOUT, || {
            if is_set(interrupted) {
                return Ok(Err(Interrupted.into()));
            }
            if let Err(ended) = stage.expect_controller() {
                return Ok(Err(ended));
            }
            let (status, _) = stage.ask()?;
            status.all_up().map(|()| Ok(status))
        });
        up.with_context(|| format!("foobar-lb said last:\n{}", stage.controller.log_tail(15)))?
    }

    /// Shows what happens until a point of the traffic's time.
    fn watch_until(&mut self, phase: &str, until: Duration) -> Result<()> {
        while let Some(left) = until.checked_sub(self.start.elapsed()) {
            if left.is_zero() {
                break;
            }
            self.look(phase)?;
            self.sleep(until.saturating_sub(self.start.elapsed()).min(TICK))?;
        }
        Ok(())
    }

    /// Shows what happens until the victim's health is as wanted, and returns when that was, in
    /// Unix milliseconds, by the controller's own event where it has one; `None`: not in time.
    fn watch_health(&mut self, wanted: &str, phase: &str, since: u64) -> Result<Option<u64>> {
        let address = self.stage.address(VICTIM);
        let deadline = Instant::now() + 2 * stage::health_limit();
        while Instant::now() < deadline {
            let status = self.look(phase)?;
            let now = unix_ms();
            if status.backend(&address)?.health == wanted {
                let mut events = status.events.iter();
                let event = events.find(|event| tells(event, &address, wanted, since));
                return Ok(Some(event.map_or(now, |event| event.unix_ms)));
            }
            self.sleep(FAST_TICK)?;
        }
        Ok(None)
    }

    /// Goes on until Ctrl-C; a server that somebody killed is brought back.
    fn stay(&mut self, deaths: &mut Vec<Death>) -> Result<()> {
        let (this, balancer) = (std::process::id(), self.stage.net.balancer.path());
        self.view.event("the script is over; Ctrl-C ends. Kill a server by its pid, if you like");
        self.view.event(format!("a shell inside: nsenter -t {this} -m --net={balancer}"));
        self.view.event(format!("and there: {} status", self.stage.lb.binary().display()));
        let mut alive = Instant::now();
        let mut dead: BTreeMap<usize, Instant> = BTreeMap::new();
        while !is_set(self.interrupted) {
            for index in 0..self.stage.servers.len() {
                let server = &mut self.stage.servers[index];
                if server.as_mut().is_some_and(|server| !server.process.is_running()) {
                    *server = None;
                    deaths.push(Death { killed: alive, gone: Instant::now() });
                    dead.insert(index, Instant::now());
                    let seconds = DEAD_FOR.as_secs();
                    let name = Stage::name(index);
                    self.view.event(format!("{name}'s server is dead; back in {seconds} s"));
                } else if dead.get(&index).is_some_and(|since| since.elapsed() > DEAD_FOR) {
                    dead.remove(&index);
                    self.stage.restart_server(index)?;
                    self.view.event(format!("{}'s server listens again", Stage::name(index)));
                }
            }
            alive = Instant::now();
            self.look("until Ctrl-C")?;
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Asks the controller once, and shows it.
    fn look(&mut self, phase: &str) -> Result<Status> {
        let (status, stats) = self.stage.ask()?;
        for event in status.events.iter().filter(|event| event.seq >= self.next_event) {
            self.view.event(format!("foobar-lb: {}", event.text));
        }
        self.next_event = status.events.last().map_or(self.next_event, |event| event.seq + 1);

        let load = self.stage.load()?;
        let fresh = load.records_from(self.seen);
        self.seen += fresh.len();
        self.seen_failed += fresh.iter().filter(|record| record.outcome.is_err()).count() as u64;
        for (name, count) in judge::shares(&fresh) {
            *self.seen_shares.entry(name).or_default() += count;
        }
        let (now, done) = (Instant::now(), self.seen as u64);
        let packets = |count: fn(&foobar_lb_tests::controller::Counters) -> u64| {
            stats.services.iter().map(|service| count(&service.counters)).sum::<u64>()
        };
        let counts = [packets(|c| c.packets_in), packets(|c| c.packets_out), done];
        let rates = self.last.map_or([0.0; 3], |(then, before)| {
            let seconds = (now - then).as_secs_f64();
            std::array::from_fn(|n| counts[n].saturating_sub(before[n]) as f64 / seconds)
        });
        // A second's worth, so that the numbers can be read.
        if self.last.is_none_or(|(then, _)| now - then > Duration::from_secs(1)) {
            self.last = Some((now, counts));
        }
        let rows = (0..self.stage.servers.len()).map(|index| {
            let (name, address) = (Stage::name(index), self.stage.address(index));
            let backend = status.backend(&address);
            Row {
                health: backend.as_ref().map_or("?", |backend| &backend.health).to_owned(),
                check: backend
                    .ok()
                    .and_then(|b| Some(b.check.as_ref()?.result.clone()))
                    .unwrap_or_default(),
                pid: self.stage.servers[index].as_ref().map(|server| server.process.pid()),
                requests: self.seen_shares.get(&name).copied().unwrap_or(0),
                name,
                address,
            }
        });
        let frame = Frame {
            phase: phase.to_owned(),
            elapsed: self.start.elapsed(),
            until: self.until,
            xdp_mode: status.xdp_mode(),
            rows: rows.collect(),
            requests: done,
            failed: self.seen_failed,
            open: load.in_flight(),
            rates,
        };
        self.view.show(frame);
        Ok(status)
    }

    fn victims_flows(&mut self) -> Result<u64> {
        let (_, stats) = self.stage.ask()?;
        Ok(new_flows(&stats, &self.stage.address(VICTIM)))
    }

    fn sleep(&self, time: Duration) -> Result<()> {
        thread::sleep(time);
        if is_set(self.interrupted) {
            bail!(Interrupted);
        }
        Ok(())
    }
}
