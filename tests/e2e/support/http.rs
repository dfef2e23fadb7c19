//! A connection that stays open, for one request after the other.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddrV4, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use foobar_lb_tests::{NetNs, http_server::NAME_HEADER};
use socket2::{Domain, Protocol, Socket, Type};

/// How long a connection, a read or a write may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A keep-alive connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    target: SocketAddrV4,
}

/// An answer with status 200.
#[derive(Debug)]
pub struct Answer {
    /// The server's name.
    pub server: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects from a namespace.
    pub fn open(ns: &NetNs, target: SocketAddrV4) -> Result<Self> {
        Self::open_within(ns, target, TIMEOUT)
    }

    /// Connects, and takes `timeout` for that and for every later step.
    pub fn open_within(ns: &NetNs, target: SocketAddrV4, timeout: Duration) -> Result<Self> {
        let socket = ns.enter(|| -> std::io::Result<Socket> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.connect_timeout(&target.into(), timeout)?;
            Ok(socket)
        })?;
        Self::over(socket.with_context(|| format!("connecting to {target}"))?, target, timeout)
    }

    /// Takes a connected socket.
    pub fn over(socket: Socket, target: SocketAddrV4, timeout: Duration) -> Result<Self> {
        let stream: TcpStream = socket.into();
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), target })
    }

    /// One request, one answer.
    pub fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(path)?;
        self.receive()
    }

    /// One request, after which the server closes the connection.
    pub fn get_and_wait_for_close(&mut self, path: &str) -> Result<Answer> {
        self.request(path, "Connection: close\r\n")?;
        let answer = self.receive()?;
        let mut rest = vec![];
        self.stream.read_to_end(&mut rest).context("waiting for the end")?;
        ensure!(rest.is_empty(), "{} bytes behind the answer", rest.len());
        Ok(answer)
    }

    /// Sends a request.
    pub fn send(&mut self, path: &str) -> Result<()> {
        self.request(path, "")
    }

    fn request(&mut self, path: &str, more: &str) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{more}\r\n", self.target);
        self.stream.get_mut().write_all(request.as_bytes()).context("sending")
    }

    /// Receives the answer to a request.
    pub fn receive(&mut self) -> Result<Answer> {
        let (server, length) = self.receive_head()?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).context("receiving the body")?;
        Ok(Answer { server, body })
    }

    /// Receives an answer's head: the server's name, and the length of the body that is to be read
    /// from [`Connection::body`].
    pub fn receive_head(&mut self) -> Result<(String, usize)> {
        let (mut server, mut length) = (None, None);
        let status = self.line()?;
        ensure!(status.split(' ').nth(1) == Some("200"), "the answer is {status:?}");
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                NAME_HEADER => server = Some(value.to_owned()),
                "content-length" => length = Some(value.parse().context("the length")?),
                _ => {}
            }
        }
        Ok((server.context("no server's name")?, length.context("no length")?))
    }

    /// The stream, for the body after [`Connection::receive_head`].
    pub fn body(&mut self) -> &mut impl std::io::Read {
        &mut self.stream
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).context("receiving")? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end().to_owned())
    }
}
