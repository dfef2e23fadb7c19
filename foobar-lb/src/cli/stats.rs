//! `foobar-lb stats`

use clap::Args;

use super::{Format, output};
use crate::api::{
    Client,
    types::{Stats, TrafficStats},
};

/// The arguments of `stats`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show every reason, also those without a packet
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> anyhow::Result<()> {
    let stats: Stats = client.get("/v1/stats").await?;
    match format {
        Format::Json => output::json(&stats),
        Format::Table => output::print(&table(&stats, arguments.all)),
    }
}

fn table(stats: &Stats, all: bool) -> String {
    let mut traffic = output::table(
        &["SERVICE", "CONNS", "REFUSED", "IN-PKTS", "OUT-PKTS", "IN-BYTES", "OUT-BYTES"],
        &[1, 2, 3, 4, 5, 6],
    );
    for service in &stats.services {
        traffic.add_row(row(service.name.clone(), &service.traffic));
        for backend in &service.backends {
            let name = format!("  -> {}:{}", backend.address, backend.port);
            traffic.add_row(row(name, &backend.traffic));
        }
    }
    let mut reasons = output::table(&["VERDICT", "REASON", "PACKETS", "MEANING"], &[2]);
    for reason in stats.reasons.iter().filter(|reason| all || reason.packets > 0) {
        reasons.add_row([&reason.verdict, &reason.name, &reason.packets.to_string(), &reason.help]);
    }
    format!("{traffic}\n\n{reasons}")
}

fn row(name: String, traffic: &TrafficStats) -> [String; 7] {
    let TrafficStats { new_flows, refused, packets_in, bytes_in, packets_out, bytes_out } = traffic;
    [
        name,
        new_flows.to_string(),
        refused.to_string(),
        packets_in.to_string(),
        packets_out.to_string(),
        bytes_in.to_string(),
        bytes_out.to_string(),
    ]
}
