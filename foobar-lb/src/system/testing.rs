//! Network namespaces for this module's tests: nothing here touches the host's interfaces.

use std::{
    fs::File,
    io::Write,
    net::Ipv4Addr,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns, unshare};

use super::netlink::MacAddress;

/// The balancer's end of the [`Pair`] has this address, on a /24.
pub(super) const BALANCER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The other end.
pub(super) const BACKEND: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// A network namespace, while a handle to it is open.
pub(super) struct Namespace(File);

impl Namespace {
    fn current() -> Self {
        Self(File::open("/proc/thread-self/ns/net").unwrap())
    }

    /// A new one; the calling thread stays where it is.
    fn new() -> Self {
        thread::spawn(|| {
            enter_new();
            Self::current()
        })
        .join()
        .unwrap()
    }

    /// Runs `ip` in this namespace.
    fn ip(&self, arguments: &str) {
        thread::scope(|scope| {
            scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                ip(arguments);
            });
        });
    }
}

fn enter_new() {
    unshare(CloneFlags::CLONE_NEWNET)
        .expect("these tests make network namespaces: run them as root, with CAP_SYS_ADMIN");
}

/// Runs a test in a thread and a network namespace of its own. The runtime has that one thread, so
/// that all of it is in the namespace.
pub(super) fn in_namespace(test: impl AsyncFnOnce(&Namespace) + Send + 'static) {
    let test = move || {
        enter_new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        ip("link set lo up");
        runtime.block_on(test(&Namespace::current()));
    };
    if let Err(panic) = thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}

/// A veth pair: `lb0` here, `be0` in a namespace of its own, both up and with an address.
pub(super) struct Pair {
    backend: Namespace,
}

impl Pair {
    /// Takes the namespace of [`in_namespace`], which proves that there is one.
    pub(super) fn new(_balancer: &Namespace) -> Self {
        use std::os::fd::AsRawFd;
        let backend = Namespace::new();
        ip("link add lb0 type veth peer name be0");
        let path = format!("/proc/{}/fd/{}", std::process::id(), backend.0.as_raw_fd());
        ip(&format!("link set be0 netns {path}"));
        ip(&format!("addr add {BALANCER}/24 dev lb0"));
        ip("link set lb0 up");
        let pair = Self { backend };
        pair.peer("link set be0 address 02:00:00:00:00:02");
        pair.peer(&format!("addr add {BACKEND}/24 dev be0"));
        pair.peer("link set be0 up");
        pair
    }

    pub(super) fn peer_mac(&self) -> MacAddress {
        MacAddress([0x02, 0, 0, 0, 0, 0x02])
    }

    /// Runs `ip` at the other end.
    pub(super) fn peer(&self, arguments: &str) {
        self.backend.ip(arguments);
    }
}

/// Runs `ip` in the namespace of this thread.
pub(super) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
}

/// Runs `ip -batch` in the namespace of this thread.
pub(super) fn ip_batch(commands: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Asks until there is an answer.
pub(super) async fn eventually<T>(mut question: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "it never came true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
