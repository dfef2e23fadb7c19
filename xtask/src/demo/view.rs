//! Showing the demo live: a block that is redrawn on a terminal, else a line a second.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::{self, Write as _},
    time::{Duration, Instant},
};

/// Events in the block.
const EVENTS: usize = 7;
/// Columns of a share's bar.
const BAR: usize = 14;
/// From one plain line to the next.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// What is to be shown now.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What is going on, in a few words.
    pub phase: String,
    /// Since the traffic began.
    pub elapsed: Duration,
    /// How long the script is.
    pub until: Duration,
    /// `native` or `generic`.
    pub xdp_mode: String,
    /// A row a backend.
    pub rows: Vec<Row>,
    /// Requests ended.
    pub requests: u64,
    /// Of these, failed, for whatever reason.
    pub failed: u64,
    /// Requests begun and not ended.
    pub open: u64,
    /// A second: packets towards the backends, packets towards the client, requests.
    pub rates: [f64; 3],
}

/// A backend.
#[derive(Clone, Debug)]
pub struct Row {
    /// The server's name.
    pub name: String,
    /// The backend's address.
    pub address: String,
    /// As the controller says.
    pub health: String,
    /// The last probe's result.
    pub check: String,
    /// The server's process, while it lives.
    pub pid: Option<u32>,
    /// Requests that it answered.
    pub requests: u64,
}

/// Where it is shown, and what was.
#[derive(Debug)]
pub struct View {
    terminal: bool,
    to_stderr: bool,
    begun: Instant,
    events: VecDeque<String>,
    frame: Option<Frame>,
    /// Lines of the block on the terminal.
    drawn: usize,
    last_line: Option<Instant>,
}

impl View {
    /// A block on the terminal, or plain lines.
    pub fn new(terminal: bool, to_stderr: bool) -> Self {
        let (events, frame) = (VecDeque::new(), None);
        Self {
            terminal,
            to_stderr,
            begun: Instant::now(),
            events,
            frame,
            drawn: 0,
            last_line: None,
        }
    }

    /// Shows that something happened.
    pub fn event(&mut self, text: impl Into<String>) {
        let text = format!("{:5.1} s  {}", self.begun.elapsed().as_secs_f64(), text.into());
        if !self.terminal {
            self.write(&format!("{text}\n"));
            return;
        }
        self.events.push_back(text);
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
        self.draw();
    }

    /// Shows how things are.
    pub fn show(&mut self, frame: Frame) {
        if self.terminal {
            self.frame = Some(frame);
            self.draw();
        } else if self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            let line = plain(&frame);
            self.write(&format!("{:5.1} s  {line}\n", self.begun.elapsed().as_secs_f64()));
        }
    }

    /// Leaves the block where it is; what is written next comes below.
    pub fn leave(&mut self) {
        self.drawn = 0;
    }

    fn draw(&mut self) {
        let Some(frame) = &self.frame else { return };
        let block = block(frame, &self.events);
        // To the block's first line and clear what follows; no wrapping while it is drawn.
        let up = match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A"),
        };
        self.drawn = block.lines().count();
        self.write(&format!("{up}\r\x1b[J\x1b[?7l{block}\x1b[?7h"));
    }

    /// A reader that has gone away is no reason to leave the demo half done.
    fn write(&self, text: &str) {
        if self.to_stderr {
            io::stderr().write_all(text.as_bytes()).ok();
        } else {
            let mut stdout = io::stdout();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).ok();
        }
    }
}

/// The block: the path of a packet, the backends at its end, numbers and events.
fn block(frame: &Frame, events: &VecDeque<String>) -> String {
    let Frame { phase, elapsed, until, xdp_mode, rows, requests, failed, open, rates } = frame;
    let mut out = String::new();
    let (elapsed, until) = (elapsed.as_secs_f64(), until.as_secs());
    let _ = writeln!(out, "\x1b[1mfoobar-lb demo\x1b[0m  {elapsed:.1} s of {until} s  {phase}\n");
    let most = rows.iter().map(|row| row.requests).max().unwrap_or(0).max(1);
    let all = rows.iter().map(|row| row.requests).sum::<u64>().max(1);
    let middle = rows.len() / 2;
    for (index, row) in rows.iter().enumerate() {
        let left = if index == middle { "client ━ foobar-lb ━" } else { "" };
        let joint = match index {
            0 if rows.len() > 1 => '┏',
            _ if index + 1 == rows.len() => '┗',
            _ if index == middle => '╋',
            _ => '┣',
        };
        let (colour, mark) = match row.health.as_str() {
            "up" => ("\x1b[32m", '●'),
            "down" => ("\x1b[31m", '✗'),
            _ => ("\x1b[33m", '?'),
        };
        let bar = "█".repeat((row.requests as usize * BAR).div_ceil(most as usize));
        let share = row.requests as f64 * 100.0 / all as f64;
        let _ = writeln!(
            out,
            "{left:>22}{joint}━ {colour}{mark}\x1b[0m {} {} {colour}{:<4}\x1b[0m {:<5}\
             {:>7} {share:>5.1} % {bar}",
            row.name, row.address, row.health, row.check, row.requests,
        );
    }
    let pids = rows.iter().map(|row| row.pid.map_or("dead".to_owned(), |pid| pid.to_string()));
    let pids: Vec<String> = pids.collect();
    let [packets_in, packets_out, per_second] = rates;
    let _ = writeln!(
        out,
        "\n  requests  {requests} ended, {failed} failed, {open} open; {per_second:.0} a second\n  \
         packets   {packets_in:.0} in, {packets_out:.0} out a second; XDP mode {xdp_mode}\n  \
         servers   pids {}\n",
        pids.join(", ")
    );
    for event in events {
        let _ = writeln!(out, "  \x1b[2m{}\x1b[0m", event.replace(['\n', '\x1b'], " "));
    }
    out
}

/// The same in one line.
fn plain(frame: &Frame) -> String {
    let Frame {
        phase, rows, requests, failed, rates: [packets_in, packets_out, per_second], ..
    } = frame;
    let rows = rows.iter().map(|row| format!("{} {} {}", row.name, row.health, row.requests));
    format!(
        "{phase}: {}; {requests} requests, {failed} failed; {per_second:.0} requests, \
         {packets_in:.0} packets in, {packets_out:.0} out a second",
        rows.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let row = |name: &str, health: &str, requests| Row {
            name: name.to_owned(),
            address: "10.0.0.11".to_owned(),
            health: health.to_owned(),
            check: "L7OK".to_owned(),
            pid: Some(4711),
            requests,
        };
        Frame {
            phase: "all backends up".to_owned(),
            elapsed: Duration::from_secs(3),
            until: Duration::from_secs(20),
            xdp_mode: "native".to_owned(),
            rows: vec![row("b1", "up", 100), row("b2", "down", 50), row("b3", "up", 0)],
            requests: 150,
            failed: 1,
            open: 2,
            rates: [1000.0, 900.0, 250.4],
        }
    }

    #[test]
    fn a_line_says_it_all() {
        assert_eq!(
            plain(&frame()),
            "all backends up: b1 up 100, b2 down 50, b3 up 0; 150 requests, 1 failed; \
             250 requests, 1000 packets in, 900 out a second"
        );
    }

    #[test]
    fn bars_are_as_long_as_shares() {
        let block = block(&frame(), &VecDeque::from(["event".to_owned()]));
        let bars: Vec<usize> = block
            .lines()
            .filter(|line| line.contains("10.0.0.11"))
            .map(|line| line.matches('█').count())
            .collect();
        assert_eq!(bars, [BAR, BAR / 2, 0]);
        assert!(block.contains("event"));
    }
}
