//! Runs one probe of any kind and times it.
#![forbid(unsafe_code)]

use std::net::SocketAddr;

use tokio::time::Instant;

use super::{
    http,
    result::{CheckCode, CheckResult},
    tcp,
};
use crate::model::{Endpoint, Probe, ProbeKind};

/// What a probe kind found; [`run`] adds the time that it took.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) code: CheckCode,
    pub(super) detail: String,
}

impl Verdict {
    pub(super) fn new(code: CheckCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// Probes `target` once, over a fresh connection. Ends within the probe's time-out, and may be
/// dropped at any time.
pub(super) async fn run(target: Endpoint, probe: &Probe) -> CheckResult {
    let start = Instant::now();
    let deadline = start + probe.timeout;
    let target = SocketAddr::from((target.address, target.port));
    let Verdict { code, detail } = match &probe.kind {
        ProbeKind::Tcp => tcp::probe(target, deadline).await,
        ProbeKind::Http { path, host, expect } => {
            let request = http::Request { path, host: host.as_deref(), expect: *expect };
            http::probe(target, deadline, request).await
        }
    };
    CheckResult { code, detail, duration: start.elapsed() }
}
