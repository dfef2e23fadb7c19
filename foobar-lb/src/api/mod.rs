//! The controller's interface for operators: HTTP and JSON over a Unix socket that only root may
//! open.
//!
//! | request | what |
//! |---|---|
//! | `GET /v1/status` | configuration, interfaces, services, backends, health, recent events |
//! | `GET /v1/stats` | traffic by service and backend, packets by reason |
//! | `POST /v1/services` | adds a service |
//! | `DELETE /v1/services/{name}` | removes one |
//! | `POST /v1/services/{name}/backends` | adds a backend |
//! | `PATCH /v1/services/{name}/backends/{address:port}` | changes its weight or state |
//! | `DELETE /v1/services/{name}/backends/{address:port}` | removes one |
//! | `POST /v1/reload` | reads the configuration file again |
//! | `POST /v1/unload` | detaches, removes all pins, and ends the controller |
//!
//! Errors are problem details (RFC 9457). Nothing here decides anything: requests become commands
//! to the controller.
#![forbid(unsafe_code)]

mod client;
mod server;
pub mod types;

pub use client::{Client, ClientError};
pub use server::{Server, ServerError, serve};

/// Where the controller listens unless told otherwise.
pub const SOCKET: &str = "/run/foobar-lb/foobar-lb.sock";
