//! Configurations, as text.

use std::{fmt::Write as _, net::SocketAddrV4};

/// Notices a dead server within 800 ms: two intervals and a time-out.
pub const QUICK_PROBE: &str = "\
[service.probe]
kind = \"http\"
path = \"/healthz\"
interval_ms = 200
timeout_ms = 400
rise = 2
fall = 2
";

/// For cases that are not about health: patient, so that a busy machine takes no backend out.
pub const STEADY_PROBE: &str = "\
[service.probe]
kind = \"http\"
path = \"/healthz\"
interval_ms = 500
timeout_ms = 5000
rise = 1
fall = 5
";

/// No probe: the backends count as up.
pub const NO_PROBE: &str = "";

/// A TCP service with its probe and backends.
pub fn service(
    name: &str,
    endpoint: SocketAddrV4,
    probe: &str,
    backends: &[SocketAddrV4],
) -> String {
    let (address, port) = (endpoint.ip(), endpoint.port());
    let mut text = format!(
        "[[service]]\nname = \"{name}\"\naddress = \"{address}\"\nport = {port}\n\n{probe}"
    );
    for backend in backends {
        let (address, port) = (backend.ip(), backend.port());
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[[service.backend]]\naddress = \"{address}\"\nport = {port}\n");
    }
    text.push('\n');
    text
}

/// A UDP service without a probe.
pub fn udp_service(name: &str, endpoint: SocketAddrV4, backends: &[SocketAddrV4]) -> String {
    let text = service(name, endpoint, NO_PROBE, backends);
    let port = format!("port = {}\n", endpoint.port());
    text.replacen(&port, &format!("{port}protocol = \"udp\"\n"), 1)
}
