//! `foobar-lb status`

use super::{Format, output, service};
use crate::{
    api::{
        Client,
        types::{Event, Status},
    },
    health::Health,
};

/// Events that the table shows.
const EVENTS: usize = 10;

pub(super) async fn run(client: &Client, format: Format) -> anyhow::Result<()> {
    let status: Status = client.get("/v1/status").await?;
    match format {
        Format::Json => output::json(&status),
        Format::Table => output::print(&table(&status)),
    }
}

fn table(status: &Status) -> String {
    let mut parts = Vec::new();
    let config = match &status.config.error {
        None if !status.config.exists => "not there yet; the first change makes it".to_owned(),
        None => "in force".to_owned(),
        Some(error) => format!("the file is NOT in force:\n  {}", error.replace('\n', "\n  ")),
    };
    parts.push(format!(
        "foobar-lb {}  pid {}  up {}{}\nconfig {} (revision {}): {config}",
        status.version,
        status.pid,
        output::duration(status.uptime_ms),
        if status.adopted { "  (took over a running packet path)" } else { "" },
        status.config.path,
        status.config.revision,
    ));
    if let Some(fault) = &status.fault {
        parts.push(format!("FAULT: {fault}"));
    }

    let mut interfaces = output::table(&["INTERFACE", "STATE", "XDP"], &[]);
    for interface in &status.interfaces {
        let mode = interface.xdp_mode.map_or("not attached", |mode| mode.name());
        let state = serde_json::to_value(interface.state);
        let state = state.ok().and_then(|s| s.as_str().map(str::to_owned)).unwrap_or_default();
        interfaces.add_row([&interface.name, &state, mode]);
    }
    parts.push(interfaces.to_string());

    parts.push(if status.services.is_empty() {
        "no services; add one with `foobar-lb service add`, or to the config".to_owned()
    } else {
        service::table(&status.services)
    });
    let down: Vec<&str> =
        status.services.iter().filter(|s| s.state != Health::Up).map(|s| s.name.as_str()).collect();
    if !down.is_empty() {
        parts.push(format!("DOWN: {}", down.join(", ")));
    }
    if !status.unreachable.is_empty() {
        let lines = status.unreachable.iter().map(|u| format!("{}: {}", u.address, u.why));
        let lines = lines.collect::<Vec<_>>().join("\n  ");
        parts.push(format!("OUT OF REACH, packets for them are left to the kernel:\n  {lines}"));
    }
    parts.push(events(&status.events));
    parts.join("\n\n")
}

fn events(events: &[Event]) -> String {
    let mut table = output::table(&["AGO", "KIND", "EVENT"], &[]);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    for event in events.iter().rev().take(EVENTS).rev() {
        let ago = output::duration(now.saturating_sub(event.unix_ms));
        table.add_row([&ago, event.kind.name(), &event.text]);
    }
    table.to_string()
}
