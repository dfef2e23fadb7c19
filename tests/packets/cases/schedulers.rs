//! The schedulers beside plain round-robin: weighted, and by hash.

use std::{collections::BTreeMap, net::Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use foobar_lb::{
    model::{Protocol, Scheduler},
    plan::{self, Image},
};
use foobar_lb_common::{hash, map::FlowKey};

use crate::{
    case::{Case, case},
    given::{Spec, endpoint, web},
    ground::{At, B1, B2, B3, CLIENT, Side, WEB},
    lab::{Lab, flow_key},
    packet::tcp,
};

/// The `i`th client port.
fn nth(i: u16) -> At {
    CLIENT.port(10_000 + i)
}

/// The `i`th client.
fn client(i: u16) -> At {
    let [high, low] = i.to_be_bytes();
    CLIENT.address([100, 64, high, low])
}

fn by_hash(scheduler: Scheduler) -> Spec {
    web(&[B1, B2, B3]).scheduler(scheduler)
}

/// Sends a SYN from each client, and counts whom they went to, after a check that the host's
/// arithmetic says the same of each.
fn spread(
    lab: &mut Lab,
    clients: impl Iterator<Item = At>,
    hash: impl Fn(&FlowKey) -> u64,
) -> Result<BTreeMap<Ipv4Addr, u32>> {
    let clients: Vec<At> = clients.collect();
    for &client in &clients {
        lab.run_fast(Side::Client, &tcp(client, WEB).syn().arriving(Side::Client))?;
    }
    let flows = lab.backends_of_new_flows()?;
    let image = lab.dataplane.image()?;
    let mut counts = BTreeMap::new();
    for client in clients {
        let key = flow_key(Protocol::Tcp, client, WEB);
        let went = *flows.get(&key).with_context(|| format!("no flow of {client:?}"))?;
        let expected = backend_in_slot(&image, hash(&key))?;
        ensure!(went == expected, "{client:?} went to {went}, its slot names {expected}");
        *counts.entry(went).or_insert(0) += 1;
    }
    Ok(counts)
}

/// The backend that the table of [`WEB`] gives to the slot of this hash.
fn backend_in_slot(image: &Image, hash: u64) -> Result<Ipv4Addr> {
    let key = plan::service_key(Protocol::Tcp, endpoint(WEB));
    let service = image.services.get(&key).context("no such service")?;
    let table = image.tables.get(&service.table_start).context("no table")?;
    let id = table[hash::upper(hash) as usize % table.len()];
    Ok(image.backends.get(&id).context("no such backend")?.address.into())
}

/// Each count is its share of the total, within 15%: more than four standard deviations here.
fn check_shares(counts: &BTreeMap<Ipv4Addr, u32>, weights: &[(At, u32)]) -> Result<()> {
    let total: u32 = counts.values().sum();
    let all: u32 = weights.iter().map(|(_, weight)| weight).sum();
    for (backend, weight) in weights {
        let count = *counts.get(&Ipv4Addr::from(backend.address)).unwrap_or(&0);
        let expected = f64::from(total) * f64::from(*weight) / f64::from(all);
        let off = (f64::from(count) - expected).abs() / expected;
        ensure!(off < 0.15, "{backend:?}: {count} flows, not about {expected:.0}: {counts:?}");
    }
    Ok(())
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("weighted round-robin: weights 5, 1, 1 in nginx's order, again and again")
            .given(
                web(&[B1, B2, B3])
                    .scheduler(Scheduler::WeightedRoundRobin)
                    .weight(B1, 5),
            )
            .each(0..70u16, |case, i| {
                let turn = [B1, B1, B2, B1, B3, B1, B1][usize::from(i) % 7];
                case.client(tcp(nth(i), WEB).syn()).goes_to(turn)
            }),
        case("weighted round-robin: a weight of 0 and a dead backend have no slots")
            .given(
                web(&[B1, B2, B3])
                    .scheduler(Scheduler::WeightedRoundRobin)
                    .weight(B1, 2)
                    .weightless(B2)
                    .down(B3),
            )
            .each(0..4u16, |case, i| case.client(tcp(nth(i), WEB).syn()).goes_to(B1)),
        case("round-robin heeds no weights")
            .given(web(&[B1, B2]).weight(B1, 9))
            .each(0..10u16, |case, i| {
                case.client(tcp(nth(i), WEB).syn()).goes_to([B1, B2][usize::from(i) % 2])
            }),
        case("maglev: 3,000 flows of one client spread by their hash")
            .given(by_hash(Scheduler::Maglev))
            .flow_tables(100, 10_000)
            .then("even", |lab| {
                let counts = spread(lab, (0..3000).map(nth), hash::flow)?;
                check_shares(&counts, &[(B1, 1), (B2, 1), (B3, 1)])
            }),
        case("maglev: weights 1, 2, 3")
            .given(by_hash(Scheduler::Maglev).weight(B2, 2).weight(B3, 3))
            .flow_tables(100, 10_000)
            .then("in proportion", |lab| {
                let counts = spread(lab, (0..3000).map(nth), hash::flow)?;
                check_shares(&counts, &[(B1, 1), (B2, 2), (B3, 3)])
            }),
        case("source-hash: a client's flows all go to one backend, clients spread")
            .given(by_hash(Scheduler::SourceHash))
            .flow_tables(100, 10_000)
            .then("one backend for one client", |lab| {
                let counts = spread(lab, (0..100).map(nth), |key| hash::source(key.source))?;
                ensure!(counts.len() == 1, "{counts:?}");
                Ok(())
            })
            .then("clients spread", |lab| {
                let counts = spread(lab, (0..3000).map(client), |key| hash::source(key.source))?;
                check_shares(&counts, &[(B1, 1), (B2, 1), (B3, 1)])
            }),
        case("source-hash: refused by its backend, a client goes to another")
            .given(by_hash(Scheduler::SourceHash))
            .then("to another", |lab| {
                let client = nth(0);
                lab.run_fast(Side::Client, &tcp(client, WEB).syn().arriving(Side::Client))?;
                let key = flow_key(Protocol::Tcp, client, WEB);
                let went = |lab: &mut Lab| -> Result<Ipv4Addr> {
                    Ok(*lab.backends_of_new_flows()?.get(&key).context("no flow")?)
                };
                let first = went(lab)?;
                let from = [B1, B2, B3].into_iter().find(|b| Ipv4Addr::from(b.address) == first);
                let refusal = tcp(from.context("which backend?")?, client).rst().ack(1);
                lab.run_fast(Side::Backend, &refusal.arriving(Side::Backend))?;
                lab.run_fast(Side::Client, &tcp(client, WEB).syn().arriving(Side::Client))?;
                let second = went(lab)?;
                ensure!(first != second, "it went to {first} twice");
                Ok(())
            }),
    ]
}
