//! Judges what came out: decodes it with etherparse, checks its checksums, and shows two frames
//! side by side when they differ.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use etherparse::{Ipv4Slice, LinkExtSlice, LinkSlice, NetSlice, SlicedPacket, TransportSlice};

/// Fails, showing both, unless the frames are the same.
pub fn same(expected: &[u8], actual: &[u8]) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    bail!(
        "the frames differ\n{}\n{}",
        side_by_side(&describe(expected), &describe(actual)),
        hex_difference(expected, actual)
    )
}

/// Fails unless etherparse accepts the frame and finds every checksum right.
pub fn sound(frame: &[u8]) -> Result<()> {
    let wrong = wrong_checksums(frame)?;
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("wrong checksums: {}\n{}", wrong.join(", "), describe(frame).join("\n"))
}

/// Names the checksums of the frame that are wrong.
pub fn wrong_checksums(frame: &[u8]) -> Result<Vec<&'static str>> {
    let mut wrong = vec![];
    let packet = match SlicedPacket::from_ethernet(frame) {
        Ok(packet) => packet,
        Err(error) => bail!("etherparse does not accept the frame: {error}"),
    };
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { bail!("not an IPv4 packet") };
    if ip.header().to_header().calc_header_checksum() != ip.header().header_checksum() {
        wrong.push("IPv4");
    }
    if let Some(transport) = &packet.transport
        && let Some((carried, right)) = transport_checksum(ip, transport)
        && carried != right
    {
        wrong.push("transport");
    }
    Ok(wrong)
}

/// The checksum that the transport header carries, and the right one; `None` for UDP without.
fn transport_checksum(ip: &Ipv4Slice<'_>, transport: &TransportSlice<'_>) -> Option<(u16, u16)> {
    let (source, destination) = (ip.header().source(), ip.header().destination());
    match transport {
        TransportSlice::Tcp(tcp) => {
            Some((tcp.checksum(), tcp.calc_checksum_ipv4(source, destination).ok()?))
        }
        TransportSlice::Udp(udp) if udp.checksum() != 0 => {
            let header = udp.to_header();
            let right = header.calc_checksum_ipv4_raw(source, destination, udp.payload()).ok()?;
            Some((udp.checksum(), right))
        }
        _ => None,
    }
}

/// The transport checksum that the frame carries.
pub fn carried_checksum(frame: &[u8]) -> Option<u16> {
    match SlicedPacket::from_ethernet(frame).ok()?.transport? {
        TransportSlice::Tcp(tcp) => Some(tcp.checksum()),
        TransportSlice::Udp(udp) => Some(udp.checksum()),
        _ => None,
    }
}

/// The frame in words, one line a header.
pub fn describe(frame: &[u8]) -> Vec<String> {
    let mut lines = vec![format!("{} bytes", frame.len())];
    let packet = match SlicedPacket::from_ethernet(frame) {
        Ok(packet) => packet,
        Err(error) => {
            lines.push(format!("etherparse: {error}"));
            return lines;
        }
    };
    if let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link {
        lines.push(format!("from {}", mac(ethernet.source())));
        lines.push(format!("to   {}", mac(ethernet.destination())));
        lines.push(format!("type {:#06x}", ethernet.ether_type().0));
    }
    for extension in &packet.link_exts {
        if let LinkExtSlice::Vlan(tag) = extension {
            let (id, priority) = (tag.vlan_identifier().value(), tag.priority_code_point().value());
            lines.push(format!("tag {id} priority {priority} type {:#06x}", tag.ether_type().0));
        }
    }
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => describe_ipv4(&mut lines, ip, packet.transport.as_ref()),
        Some(other) => lines.push(format!("{other:?}")),
        None => {}
    }
    lines
}

fn describe_ipv4(
    lines: &mut Vec<String>,
    ip: &Ipv4Slice<'_>,
    transport: Option<&TransportSlice<'_>>,
) {
    let header = ip.header();
    let right = header.to_header().calc_header_checksum();
    lines.push(format!("ipv4 {} > {}", header.source_addr(), header.destination_addr()));
    let (ttl, length, ident) = (header.ttl(), header.total_len(), header.identification());
    lines.push(format!("  ttl {ttl} length {length} ident {ident:#06x}"));
    let tos = header.dcp().value() << 2 | header.ecn().value();
    let (dont, more) = (header.dont_fragment(), header.more_fragments());
    let offset = header.fragments_offset().value();
    lines.push(format!("  tos {tos:#04x} df {dont} mf {more} offset {offset}"));
    lines.push(format!("  checksum {}", checksum(header.header_checksum(), right)));
    if !header.options().is_empty() {
        lines.push(format!("  options {}", hex(header.options())));
    }
    let Some(transport) = transport else { return };
    let sums = transport_checksum(ip, transport)
        .map_or_else(|| "none".to_owned(), |(carried, right)| checksum(carried, right));
    let payload = match transport {
        TransportSlice::Tcp(tcp) => {
            lines.push(format!("tcp {} > {}", tcp.source_port(), tcp.destination_port()));
            let (sequence, acknowledgement) = (tcp.sequence_number(), tcp.acknowledgment_number());
            lines.push(format!("  seq {sequence:#010x} ack {acknowledgement:#010x}"));
            let (flags, window) = (tcp.header_slice()[13], tcp.window_size());
            lines.push(format!("  flags {} window {window}", flag_names(flags)));
            if !tcp.options().is_empty() {
                lines.push(format!("  options {}", hex(tcp.options())));
            }
            tcp.payload()
        }
        TransportSlice::Udp(udp) => {
            lines.push(format!("udp {} > {}", udp.source_port(), udp.destination_port()));
            lines.push(format!("  length {}", udp.length()));
            udp.payload()
        }
        other => {
            lines.push(format!("{other:?}"));
            return;
        }
    };
    lines.push(format!("  checksum {sums}"));
    lines.push(format!(
        "payload {} bytes {}",
        payload.len(),
        hex(&payload[..payload.len().min(8)])
    ));
}

fn checksum(carried: u16, right: u16) -> String {
    if carried == right {
        format!("{carried:#06x}")
    } else {
        format!("{carried:#06x}, WRONG, should be {right:#06x}")
    }
}

fn flag_names(flags: u8) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set = names.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
    set.map(|(_, &name)| name).collect::<Vec<_>>().join("|")
}

fn mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn side_by_side(expected: &[String], actual: &[String]) -> String {
    let width = expected.iter().map(String::len).max().unwrap_or(0).max(8);
    let mut text = format!("    {:width$}   actual", "expected");
    for row in 0..expected.len().max(actual.len()) {
        let left = expected.get(row).map_or("", |line| line);
        let right = actual.get(row).map_or("", |line| line);
        let mark = if left == right { ' ' } else { '≠' };
        let _ = write!(text, "\n  {mark} {left:width$}   {right}");
    }
    text
}

fn hex_difference(expected: &[u8], actual: &[u8]) -> String {
    const ROW: usize = 16;
    let mut text = String::from("bytes that differ (offset: expected / actual)");
    for start in (0..expected.len().max(actual.len())).step_by(ROW) {
        let row = |frame: &[u8]| {
            let end = frame.len().min(start + ROW);
            frame.get(start..end).map_or(vec![], <[u8]>::to_vec)
        };
        let (left, right) = (row(expected), row(actual));
        if left != right {
            let _ = write!(text, "\n  {start:4}: {}\n        {}", hex(&left), hex(&right));
        }
    }
    text
}
