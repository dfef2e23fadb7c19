//! The monitor against real servers on the loopback.

use std::{net::SocketAddr, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    testing::{Blackhole, Refused, Server},
    *,
};
use crate::model::ProbeKind;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

fn probe(kind: ProbeKind, interval_ms: u64) -> Probe {
    Probe {
        kind,
        interval: Duration::from_millis(interval_ms),
        timeout: Duration::from_millis(5_000),
        rise: 2,
        fall: 3,
        port: None,
    }
}

fn http() -> ProbeKind {
    ProbeKind::Http { path: "/".into(), host: None, expect: (200, 399) }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    address.to_string().parse().unwrap()
}

fn target(service: &str, address: SocketAddr, probe: Probe) -> Target {
    Target::new(BackendId { service: service.into(), endpoint: endpoint(address) }, probe)
}

fn monitor() -> (Monitor, mpsc::Receiver<HealthEvent>) {
    let (sender, receiver) = mpsc::channel(64);
    (Monitor::new(sender), receiver)
}

async fn next(events: &mut mpsc::Receiver<HealthEvent>) -> HealthEvent {
    timeout(Duration::from_secs(20), events.recv()).await.expect("an event in time").unwrap()
}

async fn next_change(events: &mut mpsc::Receiver<HealthEvent>) -> (HealthEvent, usize) {
    let mut seen = 1;
    loop {
        let event = next(events).await;
        if event.changed {
            return (event, seen);
        }
        seen += 1;
    }
}

#[tokio::test]
async fn goes_down_after_fall_and_up_after_rise() {
    let server = Server::answering(OK).await;
    let target = target("web", server.address(), probe(http(), 20));
    let (mut monitor, mut events) = monitor();
    monitor.reconcile([target.clone()]);

    let first = next(&mut events).await;
    assert_eq!((first.health, first.changed), (Health::Up, true), "{first:?}");
    assert_eq!((first.result.code, &first.id), (CheckCode::L7Ok, &target.id));

    server.answer(BUSY);
    let (down, _) = next_change(&mut events).await;
    assert_eq!((down.health, down.result.code), (Health::Down, CheckCode::L7Sts));
    let status = monitor.status(&target.id).unwrap();
    assert!(status.streak >= 3, "{status:?}");
    assert!(status.changed_at.is_some() && status.checked_at >= status.changed_at);

    server.answer(OK);
    let (up, _) = next_change(&mut events).await;
    assert_eq!((up.health, up.result.code), (Health::Up, CheckCode::L7Ok));
}

#[tokio::test]
async fn a_seeded_backend_does_not_flap() {
    let refused = Refused::new();
    let target = target("web", refused.address(), probe(ProbeKind::Tcp, 20));
    let (mut monitor, mut events) = monitor();
    monitor.seed([(target.id.clone(), Health::Up)]);
    monitor.reconcile([target.clone()]);
    assert_eq!(monitor.health(&target.id), Some(Health::Up));
    assert_eq!(monitor.status(&target.id).unwrap().result.code, CheckCode::Ini);
    let (down, seen) = next_change(&mut events).await;
    assert_eq!((down.health, seen), (Health::Down, 3));
}

#[tokio::test]
async fn an_unchanged_target_goes_on_undisturbed() {
    let server = Server::answering(OK).await;
    // Only a restarted task would probe a second time in this test.
    let target = target("web", server.address(), probe(http(), 600_000));
    let (mut monitor, mut events) = monitor();
    monitor.reconcile([target.clone()]);
    next(&mut events).await;
    let before = monitor.running[&target.id].task_id();
    for _ in 0..20 {
        monitor.reconcile([target.clone()]);
    }
    assert_eq!(monitor.running[&target.id].task_id(), before);
    sleep(Duration::from_millis(150)).await;
    assert_eq!(server.connections(), 1);
    assert_eq!(monitor.snapshot().len(), 1);
}

#[tokio::test]
async fn a_changed_target_keeps_its_health_and_is_probed_at_once() {
    let (up, refused) = (Server::answering(OK).await, Refused::new());
    let target = target("web", up.address(), probe(ProbeKind::Tcp, 600_000));
    let (mut monitor, mut events) = monitor();
    monitor.reconcile([target.clone()]);
    assert_eq!(next(&mut events).await.health, Health::Up);

    let elsewhere = Target { address: endpoint(refused.address()), ..target.clone() };
    monitor.reconcile([elsewhere]);
    assert_eq!(monitor.health(&target.id), Some(Health::Up));
    let event = next(&mut events).await;
    assert_eq!((event.health, event.changed), (Health::Up, false));
    assert_eq!(event.result.code, CheckCode::L4Con);
    assert_eq!(monitor.status(&target.id).unwrap().streak, 1);
}

#[tokio::test]
async fn a_removed_target_is_probed_no_more() {
    let server = Server::answering(OK).await;
    let target = target("web", server.address(), probe(http(), 10));
    let (mut monitor, mut events) = monitor();
    monitor.reconcile([target.clone()]);
    next(&mut events).await;
    monitor.reconcile([]);
    assert!(monitor.snapshot().is_empty());
    assert_eq!(monitor.health(&target.id), None);
    while events.try_recv().is_ok() {}
    sleep(Duration::from_millis(100)).await;
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_slow_backend_delays_no_other() {
    let (server, blackhole) = (Server::answering(OK).await, Blackhole::new().await);
    let slow = Probe { timeout: Duration::from_secs(600), ..probe(ProbeKind::Tcp, 10) };
    let slow = target("slow", blackhole.address(), slow);
    let fast = target("fast", server.address(), probe(http(), 10));
    let (mut monitor, mut events) = monitor();
    monitor.reconcile([slow.clone(), fast.clone()]);
    for _ in 0..10 {
        assert_eq!(next(&mut events).await.id, fast.id);
    }
    let status = monitor.status(&slow.id).unwrap();
    assert!(status.probing && status.result.code == CheckCode::Ini, "{status:?}");
}

#[tokio::test]
async fn a_thousand_targets_are_all_probed_soon() {
    let server = Server::answering(OK).await;
    let targets = (0..1000)
        .map(|n| target(&format!("web{n}"), server.address(), probe(ProbeKind::Tcp, 60_000)));
    let (mut monitor, mut events) = monitor();
    monitor.reconcile(targets);
    for _ in 0..1000 {
        assert_eq!(next(&mut events).await.health, Health::Up);
    }
}

#[test]
fn the_probes_port_wins_over_the_backends() {
    let other = Probe { port: Some(8081), ..probe(ProbeKind::Tcp, 1000) };
    let target = target("web", "10.0.0.1:80".parse().unwrap(), other);
    assert_eq!(target.address.to_string(), "10.0.0.1:8081");
    assert_eq!(target.id.endpoint.to_string(), "10.0.0.1:80");
}
