//! A small HTTP/1.1 server, run as a process of its own so that it can be killed like a real one.
//!
//! The process is this very binary: a program that starts servers calls [`serve_if_asked`] first
//! thing in `main`.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | `ok` |
//! | `/bytes/N` | N bytes: the digits in a circle |
//! | `/slow/MS` | as any other, after MS milliseconds |
//! | any other | the server's name, a space, the client's address and port |

use std::{
    io::{self, BufRead, BufReader, Read as _, Write},
    net::{SocketAddrV4, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{Child, Lab, NetNs};

/// The first argument by which this binary is told to be a server.
const VERB: &str = "__http-server";
/// The header that names the server.
pub const NAME_HEADER: &str = "x-backend";
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the process may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest request head that is read.
const HEAD_LIMIT: u64 = 16 * 1024;

/// A running server process.
#[derive(Debug)]
pub struct HttpServer {
    /// The process: kill it, or leave it to its drop.
    pub process: Child,
    /// Where it listens.
    pub endpoint: SocketAddrV4,
}

impl HttpServer {
    /// Starts a server in a namespace, and returns when it listens.
    pub fn start(lab: &Lab, ns: &NetNs, endpoint: SocketAddrV4, name: &str) -> Result<Self> {
        // By pid, since nsenter is `self` by then; it works after the file has been replaced, too.
        let this_binary = format!("/proc/{}/exe", std::process::id());
        let mut command = ns.command(this_binary);
        command.args([VERB, &endpoint.to_string(), name]);
        let mut process = Child::spawn(lab, &format!("http-{name}-{}", unique()), &mut command)?;
        process.wait_for_log("listening", START_TIMEOUT)?;
        Ok(Self { process, endpoint })
    }
}

/// A number that no other server of this process has: each start has its own log.
fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Serves until killed, if the arguments say so; otherwise returns at once.
pub fn serve_if_asked() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [verb, endpoint, name] = args.as_slice() else { return };
    if verb != VERB {
        return;
    }
    let served = endpoint
        .parse()
        .with_context(|| format!("{endpoint} is not ADDRESS:PORT"))
        .and_then(|endpoint| serve(endpoint, name));
    if let Err(error) = served {
        eprintln!("{error:#}");
    }
    std::process::exit(1);
}

/// Serves on `endpoint` in the current namespace until the process ends; a thread a connection.
pub fn serve(endpoint: SocketAddrV4, name: &str) -> Result<()> {
    let listener =
        TcpListener::bind(endpoint).with_context(|| format!("cannot listen on {endpoint}"))?;
    println!("{name}: listening on {endpoint}");
    loop {
        match listener.accept() {
            Ok((stream, client)) => {
                let name = name.to_owned();
                thread::Builder::new()
                    .spawn(move || {
                        // A client that goes away is no news.
                        converse(&stream, &name, &client.to_string()).ok();
                    })
                    .context("cannot start a thread")?;
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => bail!("cannot accept: {error}"),
        }
    }
}

/// Answers the requests of one connection.
fn converse(stream: &TcpStream, name: &str, client: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        answer(stream, &request, name, client)?;
        if request.close {
            break;
        }
    }
    Ok(())
}

/// What matters of a request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    path: String,
    head_only: bool,
    close: bool,
}

impl Request {
    /// Reads a request's head; `None` at the connection's end. Bodies are not expected.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut reader = reader.take(HEAD_LIMIT);
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(method), Some(path), version) = (words.next(), words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut request = Self {
            path: path.to_owned(),
            head_only: method == "HEAD",
            close: version != Some("HTTP/1.1"),
        };
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let header = header.trim_end().to_ascii_lowercase();
            match header.split_once(':') {
                Some(("connection", value)) => request.close = value.trim() == "close",
                Some(_) => {}
                None if header.is_empty() => return Ok(Some(request)),
                None => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// Writes the answer in one piece.
fn answer(mut to: impl Write, request: &Request, name: &str, client: &str) -> io::Result<()> {
    let mut path = request.path.trim_start_matches('/').split('/');
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let body = match path.next() {
        Some("healthz") => b"ok\n".to_vec(),
        Some("bytes") => (0..number(path.next())).map(|n| b'0' + (n % 10) as u8).collect(),
        Some("slow") => {
            thread::sleep(Duration::from_millis(number(path.next())));
            format!("{name} {client}\n").into_bytes()
        }
        _ => format!("{name} {client}\n").into_bytes(),
    };
    let mut message = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{NAME_HEADER}: {name}\r\n\
         Content-Length: {}\r\nConnection: {}\r\n\r\n",
        body.len(),
        if request.close { "close" } else { "keep-alive" },
    )
    .into_bytes();
    if !request.head_only {
        message.extend_from_slice(&body);
    }
    to.write_all(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Request> {
        Request::read(&mut text.as_bytes()).expect("a request")
    }

    #[test]
    fn keeps_connections_as_the_client_asks() {
        let close = |text| read(text).expect("not the end").close;
        assert!(!close("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(close("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
        assert!(close("GET / HTTP/1.0\r\n\r\n"));
        assert!(read("").is_none());
    }

    #[test]
    fn answers_with_its_name_or_with_bytes() {
        let ask = |path: &str| {
            let request = Request { path: path.into(), head_only: false, close: true };
            let mut answered = vec![];
            answer(&mut answered, &request, "b1", "198.51.100.10:4000").expect("a vector");
            String::from_utf8(answered).expect("text")
        };
        assert!(ask("/").ends_with("\r\n\r\nb1 198.51.100.10:4000\n"));
        assert!(ask("/bytes/12").ends_with("\r\n\r\n012345678901"));
        assert!(ask("/healthz").contains("Content-Length: 3\r\n"));
    }
}
