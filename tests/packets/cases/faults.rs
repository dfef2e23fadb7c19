//! Maps that contradict each other: a fault of foobar-lb itself, which no packet may suffer from
//! more than by being dropped.

use anyhow::{Context as _, Result};
use foobar_lb::{model::Protocol, plan::Op};
use foobar_lb_common::{
    Reason,
    map::{Backend, BackendState, Service},
};

use crate::{
    case::{Case, case},
    given::{service, web},
    ground::{API, B1, B2, CLIENT, OTHER_CLIENT, WEB},
    lab::Lab,
    packet::tcp,
};

/// Writes a table of one slot, behind those in use, and points the first service at it.
fn point_at(lab: &mut Lab, backend: u32) -> Result<()> {
    let table = Op::PutTable { start: 100, slots: vec![backend] };
    lab.dataplane.apply(&[table])?;
    edit_service(lab, |service| Service { table_start: 100, table_len: 1, ..service })
}

/// Changes the entry of the first service.
fn edit_service(lab: &mut Lab, edit: impl Fn(Service) -> Service) -> Result<()> {
    let image = lab.dataplane.image()?;
    let (&key, &service) = image.services.iter().next().context("no service")?;
    Ok(lab.dataplane.apply(&[Op::PutService { key, service: edit(service) }])?)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("fault: a slot that names a backend of another service")
            .given([web(&[B1]), service(Protocol::Tcp, API, &[B2])])
            .then("the first service's table names the second's backend", |lab| {
                let stranger = lab.backend_id(Protocol::Tcp, API, B2)?;
                point_at(lab, stranger)
            })
            .client(tcp(CLIENT, WEB).syn())
            .drops(Reason::Inconsistent),
        case("fault: a slot that names a backend that was never there")
            .given(web(&[B1]))
            .then("the table names id 9", |lab| point_at(lab, 9))
            .client(tcp(CLIENT, WEB).syn())
            .drops(Reason::Inconsistent),
        case("fault: a slot that names an id beyond the map")
            .given(web(&[B1]))
            .then("the table names id 1,000,000", |lab| point_at(lab, 1_000_000))
            .client(tcp(CLIENT, WEB).syn())
            .drops(Reason::Inconsistent),
        case("fault: a table beyond the map")
            .given(web(&[B1]))
            .then("the table begins behind the last slot", |lab| {
                edit_service(lab, |service| Service {
                    table_start: u32::MAX - 3,
                    table_len: u32::MAX,
                    ..service
                })
            })
            .client(tcp(CLIENT, WEB).syn())
            .drops(Reason::Inconsistent),
        case("fault: a slot that names a backend that is down is stepped over")
            .given(web(&[B1, B2]))
            .then("a backend goes down, and the table still names it", |lab| {
                let id = lab.backend_id(Protocol::Tcp, WEB, B1)?;
                let backend = lab.dataplane.image()?.backends[&id];
                let backend = Backend { state: BackendState::Down as u8, ..backend };
                Ok(lab.dataplane.apply(&[Op::PutBackend { id, backend }])?)
            })
            .client(tcp(CLIENT, WEB).syn())
            .goes_to(B2)
            .client(tcp(OTHER_CLIENT, WEB).syn())
            .goes_to(B2),
    ]
}
