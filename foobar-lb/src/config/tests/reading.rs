//! What a valid file means.

use std::time::Duration;

use super::FULL;
use crate::{
    config::parse,
    model::{
        AdminState, Backend, Config, ForwardMode, Limits, Probe, ProbeKind, Protocol, Scheduler,
        Service,
    },
};

fn read(text: &str) -> Config {
    parse(text, "lb.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

fn backend(endpoint: &str, weight: u32, state: AdminState) -> Backend {
    Backend { endpoint: endpoint.parse().unwrap(), weight, state }
}

#[test]
fn every_key_is_read() {
    let web = Service {
        name: "web".into(),
        protocol: Protocol::Tcp,
        endpoint: "203.0.113.10:80".parse().unwrap(),
        scheduler: Scheduler::RoundRobin,
        forward: ForwardMode::Nat,
        probe: Some(Probe {
            kind: ProbeKind::Http {
                path: "/healthz?full=1".into(),
                host: Some("www.foobar.com".into()),
                expect: (200, 299),
            },
            interval: Duration::from_millis(500),
            timeout: Duration::from_millis(250),
            rise: 1,
            fall: 5,
            port: Some(8081),
        }),
        backends: vec![
            backend("10.0.0.11:8080", 3, AdminState::Drain),
            backend("10.0.0.12:80", 1, AdminState::Ready),
        ],
    };
    let dns = Service {
        name: "dns".into(),
        protocol: Protocol::Udp,
        endpoint: "203.0.113.10:53".parse().unwrap(),
        probe: None,
        backends: vec![
            backend("10.0.0.21:53", 1, AdminState::Ready),
            backend("10.0.0.22:53", 1, AdminState::Maint),
        ],
        ..web.clone()
    };
    let limits =
        Limits { services: 16, backends: 64, flows: 1024, new_flows: 512, ..Limits::default() };
    assert_eq!(read(FULL), Config { limits, manage_sysctls: false, services: vec![web, dns] });
}

#[test]
fn defaults() {
    let empty = Config { manage_sysctls: true, ..Config::default() };
    assert_eq!(read(""), empty);
    assert_eq!(read("# nothing yet"), empty);
    assert_eq!(read("[global]\n[limits]\n"), empty);
    assert_eq!(read("service = []"), empty);

    let config = read(
        "[[service]]\nname = 'a'\naddress = '192.0.2.1'\nport = 1\n\
         [service.probe]\nkind = 'http'\n",
    );
    let probe = config.services[0].probe.as_ref().unwrap();
    assert_eq!(
        *probe,
        Probe {
            kind: ProbeKind::Http { path: "/".into(), host: None, expect: (200, 399) },
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
            port: None,
        }
    );
}

#[test]
fn other_ways_of_writing_the_same() {
    let tables = read(
        "[[service]]\nname = 'a'\naddress = '192.0.2.1'\nport = 80\n\
         [service.probe]\nkind = 'tcp'\nrise = 7\n[[service.backend]]\naddress = '10.0.0.1'\n",
    );
    for text in [
        "service = [{ name = 'a', address = '192.0.2.1', port = 80, \
         probe = { kind = 'tcp', rise = 7 }, backend = [{ address = '10.0.0.1' }] }]",
        "[[service]]\nname = 'a'\naddress = '192.0.2.1'\nport = 80\n\
         probe.kind = 'tcp'\nprobe.rise = 7\nbackend = [{ address = '10.0.0.1' }]",
        "\u{feff}[[service]]\r\nname = 'a'\r\naddress = '192.0.2.1'\r\nport = 80\r\n\
         probe = { kind = 'tcp', rise = 7 }\r\n[[ service . \"backend\" ]]\r\naddress = '10.0.0.1'\r\n",
    ] {
        assert_eq!(read(text), tables, "{text}");
    }
}

#[test]
fn the_same_address_may_be_shared() {
    let service = |name, protocol, port| {
        format!(
            "[[service]]\nname = '{name}'\naddress = '192.0.2.1'\nport = {port}\n\
             protocol = '{protocol}'\n[[service.backend]]\naddress = '10.0.0.1'\n"
        )
    };
    let text = service("a", "tcp", 53) + &service("b", "udp", 53) + &service("c", "tcp", 54);
    assert_eq!(read(&text).services.len(), 3);
}

#[test]
fn weights_may_all_be_zero() {
    let text = "[[service]]\nname = 'a'\naddress = '192.0.2.1'\nport = 80\n\
                [[service.backend]]\naddress = '10.0.0.1'\nweight = 0\n";
    assert_eq!(read(text).services[0].backends[0].weight, 0);
}
