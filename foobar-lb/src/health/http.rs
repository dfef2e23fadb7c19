//! The HTTP probe: one `GET` over a fresh HTTP/1.1 connection, judged by its status line.
//!
//! Never follows redirects, re-uses connections or honours proxy variables, and reads no body
//! that the result would depend on.
#![forbid(unsafe_code)]

use std::{error::Error, net::SocketAddr, pin::pin, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper::{Response, StatusCode, body::Bytes, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout, timeout_at};

use super::{probe::Verdict, result::CheckCode, tcp::connect};

/// How the servers' logs name the probes.
const USER_AGENT: &str = concat!("foobar-lb/", env!("CARGO_PKG_VERSION"));
/// The status line and all headers must fit.
const HEAD_BYTES: usize = 16 * 1024;
/// What is read of a body, out of courtesy: an unread one makes the close a reset.
const BODY_BYTES: usize = 64 * 1024;
/// How long that may take.
const BODY_TIME: Duration = Duration::from_secs(1);

/// What is asked and what counts as good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// An absolute path, with a query if wanted.
    pub(super) path: &'a str,
    /// The Host header; `None`: the target.
    pub(super) host: Option<&'a str>,
    /// Inclusive range of good statuses.
    pub(super) expect: (u16, u16),
}

type Connection = http1::Connection<TokioIo<tokio::net::TcpStream>, Empty<Bytes>>;

/// Connects, asks, judges.
pub(super) async fn probe(target: SocketAddr, deadline: Instant, asked: Request<'_>) -> Verdict {
    let request = match build(target, asked) {
        Ok(request) => request,
        Err(error) => {
            return Verdict::new(CheckCode::Unk, format!("this request cannot be made: {error}"));
        }
    };
    let stream = match connect(target, deadline).await {
        Ok(stream) => stream,
        Err(verdict) => return verdict,
    };
    match timeout_at(deadline, exchange(TokioIo::new(stream), request)).await {
        Ok(Ok((response, connection))) => {
            let verdict = judge(response.status(), asked.expect);
            if let Some(connection) = connection {
                tokio::spawn(finish(response, connection));
            }
            verdict
        }
        Ok(Err(error)) => Verdict::new(CheckCode::L7Rsp, explain(&error)),
        Err(_) => Verdict::new(CheckCode::L7Tout, "connected, but no whole answer in time"),
    }
}

fn build(
    target: SocketAddr,
    asked: Request<'_>,
) -> Result<hyper::Request<Empty<Bytes>>, hyper::http::Error> {
    let host = asked.host.map_or_else(|| target.to_string(), str::to_owned);
    hyper::Request::get(asked.path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
}

/// Sends the request and reads the head of the answer; the connection is returned while it has
/// more to read.
async fn exchange(
    stream: TokioIo<tokio::net::TcpStream>,
    request: hyper::Request<Empty<Bytes>>,
) -> Result<(Response<Incoming>, Option<Connection>), hyper::Error> {
    let (mut sender, mut connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES).handshake(stream).await?;
    let mut answer = pin!(sender.send_request(request));
    let mut ended = false;
    let response = loop {
        tokio::select! {
            biased;
            response = &mut answer => break response?,
            // However the connection ended, `answer` knows more about it.
            _ = &mut connection, if !ended => ended = true,
        }
    };
    Ok((response, (!ended).then_some(connection)))
}

fn judge(status: StatusCode, (low, high): (u16, u16)) -> Verdict {
    if (low..=high).contains(&status.as_u16()) {
        return Verdict::new(CheckCode::L7Ok, status.to_string());
    }
    let wanted = if low == high { low.to_string() } else { format!("{low}-{high}") };
    Verdict::new(CheckCode::L7Sts, format!("{status}, expected {wanted}"))
}

/// An error and its causes in one line.
fn explain(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "the server closed the connection before a whole answer".into();
    }
    let mut text = format!("not a valid HTTP answer: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Reads a small body to its end, so that the connection closes in order.
async fn finish(response: Response<Incoming>, mut connection: Connection) {
    let body = async {
        let mut body = response.into_body();
        let mut left = BODY_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let read = async {
        let mut body = pin!(body);
        tokio::select! {
            () = &mut body => {}
            _ = &mut connection => body.await,
        }
    };
    // Nobody is left to tell of a failure: the result is known already.
    let _ = timeout(BODY_TIME, read).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::testing::{Blackhole, Refused, Server, soon};

    const ASKED: Request<'static> = Request { path: "/health?a=b", host: None, expect: (200, 299) };

    #[tokio::test]
    async fn an_expected_status_is_l7ok() {
        let server =
            Server::answering("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        let verdict = probe(server.address(), soon(), ASKED).await;
        assert_eq!(verdict.code, CheckCode::L7Ok, "{}", verdict.detail);
        assert_eq!(verdict.detail, "204 No Content");
    }

    #[tokio::test]
    async fn the_request_says_who_asks_and_that_it_closes() {
        let server = Server::answering("HTTP/1.0 200 OK\r\n\r\nhello").await;
        probe(server.address(), soon(), ASKED).await;
        let text = server.last_request();
        assert!(text.starts_with("GET /health?a=b HTTP/1.1\r\n"), "{text}");
        let text = text.to_lowercase();
        for line in [
            format!("host: {}", server.address()),
            format!("user-agent: foobar-lb/{}", env!("CARGO_PKG_VERSION")),
            "connection: close".into(),
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
        }
        probe(server.address(), soon(), Request { host: Some("web.example"), ..ASKED }).await;
        assert!(server.last_request().to_lowercase().contains("\r\nhost: web.example\r\n"));
    }

    #[tokio::test]
    async fn another_status_is_l7sts_and_says_what_was_expected() {
        let server =
            Server::answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                .await;
        let verdict = probe(server.address(), soon(), ASKED).await;
        assert_eq!(verdict.code, CheckCode::L7Sts);
        assert_eq!(verdict.detail, "503 Service Unavailable, expected 200-299");
    }

    #[tokio::test]
    async fn a_redirect_is_judged_not_followed() {
        let server =
            Server::answering("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
                .await;
        let found = Request { expect: (302, 302), ..ASKED };
        assert_eq!(probe(server.address(), soon(), found).await.code, CheckCode::L7Ok);
        assert_eq!(server.connections(), 1);
    }

    #[tokio::test]
    async fn garbage_an_early_end_and_an_endless_head_are_l7rsp() {
        let endless =
            format!("HTTP/1.1 200 OK\r\n{}", "X-Filler: 0123456789abcdef\r\n".repeat(4096));
        for answer in ["SSH-2.0-OpenSSH_9.9\r\n\r\n", "", "HTTP/1.1 200 OK\r\nContent-Le", &endless]
        {
            let server = Server::answering(answer).await;
            let verdict = probe(server.address(), soon(), ASKED).await;
            assert_eq!(verdict.code, CheckCode::L7Rsp, "{answer:.40}: {}", verdict.detail);
        }
    }

    #[tokio::test]
    async fn an_endless_body_does_not_matter() {
        let body = "x".repeat(1 << 20);
        let server = Server::answering(&format!("HTTP/1.1 200 OK\r\n\r\n{body}")).await;
        assert_eq!(probe(server.address(), soon(), ASKED).await.code, CheckCode::L7Ok);
    }

    #[tokio::test]
    async fn silence_is_told_apart_by_layer() {
        let deadline = || Instant::now() + Duration::from_millis(200);
        let mute = Server::mute().await;
        assert_eq!(probe(mute.address(), deadline(), ASKED).await.code, CheckCode::L7Tout);
        let blackhole = Blackhole::new().await;
        assert_eq!(probe(blackhole.address(), deadline(), ASKED).await.code, CheckCode::L4Tout);
        let refused = Refused::new();
        assert_eq!(probe(refused.address(), deadline(), ASKED).await.code, CheckCode::L4Con);
    }
}
