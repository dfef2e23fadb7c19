//! Servers that behave well and badly, for this module's tests.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::{Instant, timeout},
};

/// A deadline that only a hanging test meets.
pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A port that is taken, so that no other test gets it, and on which nothing listens.
pub(super) struct Refused(TcpSocket);

impl Refused {
    pub(super) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// A server that reads a request's head, sends the same bytes to everyone, and closes.
pub(super) struct Server {
    address: SocketAddr,
    answer: Arc<Mutex<Option<String>>>,
    connections: Arc<AtomicUsize>,
    last_request: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn answering(answer: &str) -> Self {
        Self::start(Some(answer.to_owned())).await
    }

    /// Accepts and never answers.
    pub(super) async fn mute() -> Self {
        Self::start(None).await
    }

    async fn start(answer: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(answer));
        let connections = Arc::new(AtomicUsize::new(0));
        let last_request = Arc::new(Mutex::new(String::new()));
        let task = tokio::spawn({
            let (answer, connections, last_request) =
                (answer.clone(), connections.clone(), last_request.clone());
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.fetch_add(1, Ordering::SeqCst);
                    let answer = answer.lock().unwrap().clone();
                    tokio::spawn(serve(stream, answer, last_request.clone()));
                }
            }
        });
        Self { address, answer, connections, last_request, task }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn last_request(&self) -> String {
        self.last_request.lock().unwrap().clone()
    }

    /// From the next connection on, answers this.
    pub(super) fn answer(&self, answer: &str) {
        *self.answer.lock().unwrap() = Some(answer.to_owned());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, answer: Option<String>, last_request: Arc<Mutex<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    *last_request.lock().unwrap() = String::from_utf8_lossy(&head).into_owned();
    match answer {
        Some(answer) => {
            // The probe may have seen enough and be gone.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        None => std::future::pending().await,
    }
}

/// Swallows connection attempts: a listening socket whose backlog is full drops every SYN.
pub(super) struct Blackhole {
    listener: TcpListener,
    _backlog: Vec<TcpStream>,
}

impl Blackhole {
    pub(super) async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut backlog = Vec::new();
        while let Ok(stream) =
            timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            backlog.push(stream.unwrap());
            assert!(backlog.len() < 64, "the backlog never fills");
        }
        Self { listener, _backlog: backlog }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}
