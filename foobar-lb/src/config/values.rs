//! The rules of single values: addresses, names, paths, hosts, statuses.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use super::diagnostic::Fault;

/// Longest service name, in characters.
pub(super) const NAME_MAX: usize = 63;
/// Longest path of an HTTP probe, in bytes.
pub(super) const PATH_MAX: usize = 1024;
/// Longest Host header of an HTTP probe, in bytes.
pub(super) const HOST_MAX: usize = 255;

/// A unicast address that packets of others can be sent to.
pub(super) fn address(text: &str) -> Result<Ipv4Addr, Fault> {
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        return Err(not_an_address(text));
    };
    let what = if address.is_unspecified() {
        "stands for every address"
    } else if address.is_loopback() {
        "is a loopback address: packets for it never reach a network"
    } else if address.is_multicast() {
        "is a multicast address"
    } else if address.is_broadcast() {
        "is the broadcast address"
    } else {
        return Ok(address);
    };
    Err(Fault::new(format!("{address} {what}"), "use a unicast IPv4 address"))
}

fn not_an_address(text: &str) -> Fault {
    let bare = text.trim();
    if let Ok(socket) = bare.parse::<SocketAddrV4>() {
        return Fault::new(
            "the port does not belong in the address",
            format!("write `address = \"{}\"` and `port = {}`", socket.ip(), socket.port()),
        );
    }
    let inner = bare.trim_start_matches('[').split([']', '/', '%']).next().unwrap_or(bare);
    if inner.parse::<Ipv6Addr>().is_ok() {
        return Fault::new(
            "IPv6 addresses cannot be balanced yet",
            "use an IPv4 address; this version balances IPv4 only",
        );
    }
    if let Some((address, _)) = bare.split_once('/')
        && address.parse::<Ipv4Addr>().is_ok()
    {
        return Fault::new(
            format!("`{text}` is a network, not an address"),
            format!("write it without the prefix length: `\"{address}\"`"),
        );
    }
    if bare.chars().any(char::is_alphabetic) {
        return Fault::new(
            format!("`{text}` is not an IPv4 address"),
            "names are not looked up: write the address itself, such as `\"10.0.0.11\"`",
        );
    }
    Fault::new(
        format!("`{text}` is not an IPv4 address"),
        "write four numbers from 0 to 255 without leading zeros, such as `\"10.0.0.11\"`",
    )
}

/// The name of a service.
pub(super) fn name(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::new("the name is empty", "give the service a name, such as `\"web\"`"));
    }
    let length = text.chars().count();
    if length > NAME_MAX {
        return Err(Fault::new(
            format!("the name has {length} characters"),
            format!("{NAME_MAX} characters at the most"),
        ));
    }
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        return Err(Fault::new(
            format!("{bad:?} cannot be part of a name"),
            "a name has letters (a to z, A to Z), digits, `-`, `_` and `.`",
        ));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Fault::new(
            format!("the name begins with `{}`", &text[..1]),
            "begin it with a letter or a digit",
        ));
    }
    Ok(text.to_owned())
}

/// The path and query of an HTTP probe, by RFC 3986: nothing that could end the request line early.
pub(super) fn path(text: &str) -> Result<String, Fault> {
    if !text.starts_with('/') {
        return Err(Fault::new(
            "the path does not begin with `/`",
            match text.split_once("://").map(|(_, rest)| rest.split_once('/')) {
                Some(Some((_, path))) => {
                    format!("write only the path, `\"/{path}\"`, and the name as `host`")
                }
                Some(None) => "write only the path, `\"/\"`, and the name as `host`".to_owned(),
                None => format!("write `\"/{text}\"`"),
            },
        ));
    }
    if text.len() > PATH_MAX {
        return Err(Fault::new(
            format!("the path has {} characters", text.len()),
            format!("{PATH_MAX} characters at the most"),
        ));
    }
    let encoded = |c: char| !c.is_ascii_graphic() || "\"#<>\\^`{|}".contains(c);
    if let Some(bad) = text.chars().find(|c| encoded(*c)) {
        return Err(Fault::new(
            format!("{bad:?} cannot be part of a path"),
            "write it percent-encoded, such as `%20` for a space",
        ));
    }
    Ok(text.to_owned())
}

/// The Host header of an HTTP probe.
pub(super) fn host(text: &str) -> Result<String, Fault> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    if text.is_empty() {
        return Err(Fault::new(
            "the host is empty",
            "remove the line: the backend's address and port are sent then",
        ));
    }
    if text.len() > HOST_MAX {
        return Err(Fault::new(
            format!("the host has {} characters", text.len()),
            format!("{HOST_MAX} characters at the most"),
        ));
    }
    if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        return Err(Fault::new(
            format!("{bad:?} cannot be part of a host"),
            "write a host name or address, such as `\"www.foobar.com\"`",
        ));
    }
    Ok(text.to_owned())
}

/// `200` or `200-399`: an inclusive range of HTTP statuses.
pub(super) fn statuses(text: &str) -> Result<(u16, u16), Fault> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| {
        let three_digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| three_digits && (100..=599).contains(n))
    };
    let (Some(low), Some(high)) = (status(low.trim()), status(high.trim())) else {
        return Err(Fault::new(
            format!("`{text}` is not a range of statuses"),
            "write one status from 100 to 599, or a range: `\"200\"`, `\"200-399\"`",
        ));
    };
    if low > high {
        return Err(Fault::new(
            format!("the range `{text}` is empty"),
            format!("write the smaller status first: `\"{high}-{low}\"`"),
        ));
    }
    Ok((low, high))
}
