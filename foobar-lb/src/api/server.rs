//! The server's side: a socket that only root may open, and routes that hand commands to the
//! controller.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path as UrlPath, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use thiserror::Error;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};

use super::types::{BackendChange, NewBackend, NewService, Problem};
use crate::controller::{ChangeError, Command, Request};

/// Larger requests are refused.
const MAX_BODY: usize = 64 * 1024;

/// Why the socket cannot be had.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Somebody answers there.
    #[error(
        "another foobar-lb controller answers on {}; end it first (its pid is in `foobar-lb status`), \
         or choose another --socket and --pin-root", path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("the socket {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The bound socket. Removes its file when dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already, and there is nobody to tell.
        let _ = fs::remove_file(&self.0);
    }
}

impl Server {
    /// Binds the socket, readable and writable by its owner only. A socket file that nobody
    /// answers on is replaced.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub async fn bind(path: &Path) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        if let Ok(metadata) = fs::symlink_metadata(path) {
            if !metadata.file_type().is_socket() {
                let reason = "there is something else of this name; remove it";
                return Err(failed(io::Error::other(reason)));
            }
            if UnixStream::connect(path).await.is_ok() {
                return Err(ServerError::InUse { path: path.to_owned() });
            }
            fs::remove_file(path).map_err(failed)?;
        }
        // Bound under another name and moved into place with its permissions set, so that it is
        // never open to others, not even for a moment.
        let hidden = path.with_extension(format!("{}.tmp", std::process::id()));
        let listener = UnixListener::bind(&hidden).map_err(failed)?;
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        fs::rename(&hidden, path).map_err(failed)?;
        Ok(Self { listener, file: SocketFile(path.to_owned()) })
    }
}

/// Serves requests until the task is ended.
///
/// # Errors
///
/// The listener fails for good.
pub async fn serve(server: Server, commands: mpsc::Sender<Command>) -> io::Result<()> {
    let Server { listener, file: _file } = server;
    axum::serve(listener, router(commands)).await
}

fn router(commands: mpsc::Sender<Command>) -> Router {
    Router::new()
        .route("/v1/status", get(|state| ask(state, Request::Status)))
        .route("/v1/stats", get(|state| ask(state, Request::Stats)))
        .route("/v1/reload", post(|state| ask(state, Request::Reload)))
        .route("/v1/unload", post(|state| ask(state, Request::Unload)))
        .route("/v1/services", post(add_service))
        .route("/v1/services/{name}", delete(remove_service))
        .route("/v1/services/{name}/backends", post(add_backend))
        .route("/v1/services/{name}/backends/{backend}", delete(remove_backend).patch(set_backend))
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "there is no such path") })
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(commands)
}

type Commands = State<mpsc::Sender<Command>>;
type Body<T> = Result<Json<T>, JsonRejection>;

async fn ask(State(commands): Commands, request: Request) -> Response {
    let (reply, answer) = oneshot::channel();
    if commands.send(Command { request, reply }).await.is_err() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the controller is ending");
    }
    match answer.await {
        Ok(Ok(json)) => Json(json).into_response(),
        Ok(Err(error)) => refusal(&error),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the controller is ending"),
    }
}

async fn add_service(state: Commands, body: Body<NewService>) -> Response {
    match body {
        Ok(Json(service)) => ask(state, Request::AddService(service)).await,
        Err(rejection) => problem(rejection.status(), &rejection.body_text()),
    }
}

async fn remove_service(state: Commands, UrlPath(name): UrlPath<String>) -> Response {
    ask(state, Request::RemoveService(name)).await
}

async fn add_backend(
    state: Commands,
    UrlPath(service): UrlPath<String>,
    body: Body<NewBackend>,
) -> Response {
    match body {
        Ok(Json(backend)) => ask(state, Request::AddBackend { service, backend }).await,
        Err(rejection) => problem(rejection.status(), &rejection.body_text()),
    }
}

async fn remove_backend(
    state: Commands,
    UrlPath((service, backend)): UrlPath<(String, String)>,
) -> Response {
    ask(state, Request::RemoveBackend { service, backend }).await
}

async fn set_backend(
    state: Commands,
    UrlPath((service, backend)): UrlPath<(String, String)>,
    body: Body<BackendChange>,
) -> Response {
    match body {
        Ok(Json(change)) => ask(state, Request::SetBackend { service, backend, change }).await,
        Err(rejection) => problem(rejection.status(), &rejection.body_text()),
    }
}

fn refusal(error: &ChangeError) -> Response {
    let status = match error {
        ChangeError::NotFound(_) => StatusCode::NOT_FOUND,
        ChangeError::Conflict(_) => StatusCode::CONFLICT,
        ChangeError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ChangeError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, &error.to_string())
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = Problem {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or("error").to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
    };
    (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
}
