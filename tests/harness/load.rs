//! A client that opens a fresh connection for every request, at a steady rate, and remembers how
//! each went.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{NetNs, http_server::NAME_HEADER, wait_until};

/// How long a worker sleeps at the most until it looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(20);

/// What to ask for, and how often.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Whom to ask.
    pub target: SocketAddrV4,
    /// What to ask for.
    pub path: String,
    /// Requests a second, by the clock: a slow answer does not hold the next request up.
    pub rate: u32,
    /// Requests in flight at the most.
    pub workers: usize,
    /// The client's addresses, used in turn, so that no port is used again too soon. May be empty.
    pub sources: Vec<Ipv4Addr>,
    /// A SYN that meets a dead backend is sent again after 1 s and 3 s.
    pub connect_timeout: Duration,
    /// For each read and write.
    pub io_timeout: Duration,
}

impl LoadPlan {
    /// `GET /` at 250 a second, with time enough for two lost SYNs.
    pub fn new(target: SocketAddrV4) -> Self {
        Self {
            target,
            path: "/".to_owned(),
            rate: 250,
            workers: 64,
            sources: vec![],
            connect_timeout: Duration::from_secs(8),
            io_timeout: Duration::from_secs(8),
        }
    }
}

/// How one request went.
#[derive(Clone, Debug)]
pub struct Record {
    /// Just before the SYN.
    pub start: Instant,
    /// When `connect` had returned; `None`: it failed.
    pub connected: Option<Instant>,
    /// When the answer was complete, or the failure known.
    pub end: Instant,
    /// The server's name, or what went wrong.
    pub outcome: Result<String, Failure>,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where it stopped.
    pub stage: Stage,
    /// The error.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Connect => "connecting",
            Stage::Send => "sending",
            Stage::Receive => "receiving",
            Stage::Answer => "in the answer",
        };
        write!(f, "{stage}: {}", self.text)
    }
}

/// The stages of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No connection.
    Connect,
    /// The request could not be sent.
    Send,
    /// The answer did not come, or not to its end.
    Receive,
    /// An answer came, but not `200` with the server's name.
    Answer,
}

/// Clients at work, until stopped or dropped.
#[derive(Debug)]
pub struct LoadClient {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    plan: LoadPlan,
    records: Mutex<Vec<Record>>,
    schedule: Mutex<Schedule>,
    in_flight: AtomicU64,
    sequence: AtomicU64,
    stop: AtomicBool,
}

/// When the next request is due; `None`: paused.
#[derive(Debug)]
struct Schedule {
    next: Option<Instant>,
}

impl LoadClient {
    /// Starts the workers in a namespace, paused: [`LoadClient::resume`] begins.
    pub fn start(ns: &NetNs, plan: LoadPlan) -> Result<Self> {
        ensure!(plan.rate > 0 && plan.workers > 0, "a load of nothing");
        let workers = plan.workers;
        let shared = Arc::new(Shared {
            plan,
            records: Mutex::default(),
            schedule: Mutex::new(Schedule { next: None }),
            in_flight: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let worker = |_| {
            let shared = Arc::clone(&shared);
            ns.spawn(move || shared.work())
        };
        let workers = (0..workers).map(worker).collect();
        Ok(Self { shared, workers })
    }

    /// Begins, or goes on.
    pub fn resume(&self) {
        lock(&self.shared.schedule).next = Some(Instant::now());
    }

    /// Starts no more requests, and waits for those in flight.
    pub fn pause(&self, timeout: Duration) -> Result<()> {
        lock(&self.shared.schedule).next = None;
        wait_until("requests in flight to end", timeout, || {
            let open = self.in_flight();
            ensure!(open == 0, "{open} still open");
            Ok(())
        })
    }

    /// Requests begun and not ended.
    pub fn in_flight(&self) -> u64 {
        self.shared.in_flight.load(SeqCst)
    }

    /// Requests ended.
    pub fn done(&self) -> usize {
        lock(&self.shared.records).len()
    }

    /// What ended since [`LoadClient::done`] was `from`, in the order of ending.
    pub fn records_from(&self, from: usize) -> Vec<Record> {
        lock(&self.shared.records).get(from..).unwrap_or_default().to_vec()
    }

    /// Waits for the requests in flight, and returns all records.
    pub fn stop(mut self) -> Result<Vec<Record>> {
        self.shared.stop.store(true, SeqCst);
        for worker in self.workers.drain(..) {
            worker.join().map_err(|_| anyhow::anyhow!("a load worker died"))??;
        }
        Ok(std::mem::take(&mut *lock(&self.shared.records)))
    }
}

impl Drop for LoadClient {
    /// The workers end by themselves after their current request.
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
    }
}

impl Shared {
    fn work(&self) {
        while !self.stop.load(SeqCst) {
            if !self.take_turn() {
                continue;
            }
            let record = self.request();
            lock(&self.records).push(record);
            self.in_flight.fetch_sub(1, SeqCst);
        }
    }

    /// Takes the next request of the schedule when it is due; naps and returns false when not.
    fn take_turn(&self) -> bool {
        let nap = {
            let mut schedule = lock(&self.schedule);
            match schedule.next {
                None => NAP,
                Some(due) => match due.checked_duration_since(Instant::now()) {
                    Some(early) if !early.is_zero() => early.min(NAP),
                    _ => {
                        schedule.next = Some(due + Duration::from_secs(1) / self.plan.rate);
                        self.in_flight.fetch_add(1, SeqCst);
                        return true;
                    }
                },
            }
        };
        thread::sleep(nap);
        false
    }

    fn request(&self) -> Record {
        let start = Instant::now();
        let mut connected = None;
        let outcome = self.connect().map_err(|error| Failure::new(Stage::Connect, error));
        let outcome = outcome.and_then(|mut stream| {
            connected = Some(Instant::now());
            exchange(&mut stream, &self.plan)
        });
        Record { start, connected, end: Instant::now(), outcome }
    }

    fn connect(&self) -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let sources = &self.plan.sources;
        if !sources.is_empty() {
            let turn = self.sequence.fetch_add(1, SeqCst) as usize % sources.len();
            // The port is picked at connect, when it needs to be free for this target only.
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
            socket.bind(&SocketAddrV4::new(sources[turn], 0).into())?;
        }
        socket.connect_timeout(&SockAddr::from(self.plan.target), self.plan.connect_timeout)?;
        socket.set_read_timeout(Some(self.plan.io_timeout))?;
        socket.set_write_timeout(Some(self.plan.io_timeout))?;
        Ok(socket)
    }
}

/// One request and its answer; returns the server's name.
fn exchange(stream: &mut Socket, plan: &LoadPlan) -> Result<String, Failure> {
    let (path, host) = (&plan.path, plan.target);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| Failure::new(Stage::Send, error))?;
    let mut answer = vec![];
    stream.read_to_end(&mut answer).map_err(|error| Failure::new(Stage::Receive, error))?;
    if answer.is_empty() {
        return Err(Failure::new(Stage::Receive, "closed without an answer"));
    }
    server_name(&answer)
}

/// The name of the server, from an answer that is `200` and complete.
fn server_name(answer: &[u8]) -> Result<String, Failure> {
    let bad = |text: &str| Failure::new(Stage::Answer, text);
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| bad("the head is cut off"))?;
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(bad(status));
    }
    let header = |wanted: &str| {
        let mut headers = head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let length: Option<usize> = header("content-length").and_then(|value| value.parse().ok());
    if length.is_some_and(|length| length != body.len()) {
        return Err(bad("the body is cut off"));
    }
    header(NAME_HEADER).map(str::to_owned).ok_or_else(|| bad("no server's name in the answer"))
}

impl Failure {
    fn new(stage: Stage, error: impl ToString) -> Self {
        Self { stage, text: error.to_string() }
    }
}

/// A panic while it was held leaves the data as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_name_from_a_complete_answer_only() {
        let head = "HTTP/1.1 200 OK\r\nX-Backend: b2\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(server_name(format!("{head}abc").as_bytes()), Ok("b2".to_owned()));
        let stage = |text: String| server_name(text.as_bytes()).map_err(|failure| failure.stage);
        assert_eq!(stage(format!("{head}ab")), Err(Stage::Answer));
        assert_eq!(stage(head.replace("200 OK", "503 No")), Err(Stage::Answer));
        assert_eq!(stage("HTTP/1.1 200 OK\r\n".to_owned()), Err(Stage::Answer));
    }
}
