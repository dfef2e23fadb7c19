//! The client's side, for the command line: one request a connection.

use std::{
    io,
    path::{Path, PathBuf},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::net::UnixStream;

use super::types::Problem;

/// Why a request brought nothing.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("{}", no_controller(path, source))]
    NoController {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The controller says no.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The controller tried and failed.
    #[error("{}", .0.detail)]
    Failed(Problem),
    /// The conversation broke off.
    #[error("the controller's answer: {0}")]
    Broken(String),
}

/// Talks to the controller.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the controller that listens on `socket`.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// `GET path`.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// A request with a body that changes something.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(broken)?.into(),
            None => Bytes::new(),
        };
        self.send(method, path, body).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::NoController { path: self.socket.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the connection; its errors reach the request.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "foobar-lb")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(broken)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(broken);
        }
        let problem: Problem = serde_json::from_slice(&body).map_err(broken)?;
        if status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE {
            Err(ClientError::Refused(problem))
        } else {
            Err(ClientError::Failed(problem))
        }
    }
}

fn broken(error: impl std::fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}

fn no_controller(path: &Path, source: &io::Error) -> String {
    let path = path.display();
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("only root may talk to the controller on {path}: {source}")
        }
        _ => format!("no controller answers on {path}: {source}; start one with `foobar-lb run`"),
    }
}
