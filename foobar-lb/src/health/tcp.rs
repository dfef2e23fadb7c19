//! The TCP probe: a connection is accepted. Also the connection that every other kind begins with.
#![forbid(unsafe_code)]

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use super::{probe::Verdict, result::CheckCode};

/// How long the probe's end of a finished connection waits for the server's end.
const LINGER: Duration = Duration::from_secs(1);
/// What a server may send into a finished connection before it is cut.
const LINGER_BYTES: u64 = 64 * 1024;

/// Connects and closes.
pub(super) async fn probe(target: SocketAddr, deadline: Instant) -> Verdict {
    match connect(target, deadline).await {
        Ok(stream) => {
            tokio::spawn(close(stream));
            Verdict::new(CheckCode::L4Ok, "connection accepted")
        }
        Err(verdict) => verdict,
    }
}

/// A fresh connection to `target`, or why there is none.
pub(super) async fn connect(target: SocketAddr, deadline: Instant) -> Result<TcpStream, Verdict> {
    match timeout_at(deadline, TcpStream::connect(target)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failure(target, &error)),
        Err(_) => {
            Err(Verdict::new(CheckCode::L4Tout, format!("no answer to a connection to {target}")))
        }
    }
}

/// Tells the backend's faults from this host's.
fn failure(target: SocketAddr, error: &io::Error) -> Verdict {
    match error.raw_os_error() {
        // The kernel's own time-out came before ours.
        Some(libc::ETIMEDOUT) => {
            Verdict::new(CheckCode::L4Tout, format!("connecting to {target}: {error}"))
        }
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL) => {
            Verdict::new(
                CheckCode::Unk,
                format!("this host cannot open a connection to {target}: {error}"),
            )
        }
        _ => Verdict::new(CheckCode::L4Con, format!("connecting to {target}: {error}")),
    }
}

/// Says goodbye and waits for the server to do so, since closing a socket with unread bytes (a
/// greeting, say) sends a reset, which servers log as an error.
async fn close(mut stream: TcpStream) {
    let farewell = async {
        stream.shutdown().await?;
        let mut rest = stream.take(LINGER_BYTES);
        let mut scratch = [0; 1024];
        while rest.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // Nobody is left to tell of a failure: the result is known already.
    let _ = timeout(LINGER, farewell).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::testing::{Blackhole, Refused, soon};

    #[tokio::test]
    async fn an_accepted_connection_is_l4ok_and_ends_without_a_reset() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A greeting that the probe never asked for.
            stream.write_all(b"220 ready\r\n").await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.map(|_| rest)
        });
        assert_eq!(probe(target, soon()).await.code, CheckCode::L4Ok);
        let seen = server.await.unwrap().expect("an orderly end, not a reset");
        assert!(seen.is_empty());
    }

    #[tokio::test]
    async fn a_closed_port_is_l4con_with_the_systems_error() {
        let refused = Refused::new();
        let verdict = probe(refused.address(), soon()).await;
        assert_eq!(verdict.code, CheckCode::L4Con);
        assert!(verdict.detail.contains("refused"), "{}", verdict.detail);
    }

    #[tokio::test]
    async fn silence_is_l4tout() {
        let blackhole = Blackhole::new().await;
        let deadline = Instant::now() + Duration::from_millis(200);
        assert_eq!(probe(blackhole.address(), deadline).await.code, CheckCode::L4Tout);
    }

    #[test]
    fn errors_of_this_host_say_nothing_about_the_backend() {
        let target = "192.0.2.1:80".parse().unwrap();
        for (errno, code) in [
            (libc::EMFILE, CheckCode::Unk),
            (libc::EADDRNOTAVAIL, CheckCode::Unk),
            (libc::EHOSTUNREACH, CheckCode::L4Con),
            (libc::ENETUNREACH, CheckCode::L4Con),
            (libc::ETIMEDOUT, CheckCode::L4Tout),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(failure(target, &error).code, code, "{error}");
        }
    }
}
