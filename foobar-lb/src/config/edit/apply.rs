//! The edit on the text: finds the place and splices, so that every other byte stays.
//!
//! `None` throughout: the text is written in a way that is not foreseen here.
#![forbid(unsafe_code)]

use std::ops::Range;

use toml_edit::{Document, InlineTable, Item, Table, TableLike, Value};

use super::{
    Edit, change,
    layout::{block, blocks, indent, last_value, newline, next_line, splice},
    lines::{Style, end_with_comments, insert_block, remove_blocks, sibling_style},
    list::{add_element, remove_element},
    text::{self, Pairs},
};
use crate::config::keys::{backend, probe, root, service};
use crate::model::{Config, Service};

/// The text with the edit made; `before` is what it says now.
pub(super) fn apply(text: &str, before: &Config, edit: &Edit) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let services = document.get(root::SERVICE.name);
    let find = |name: &str| {
        let at = before.services.iter().position(|service| service.name == name)?;
        Some((element(services?, at)?, &before.services[at]))
    };
    match edit {
        Edit::AddService { .. } => {
            let mut config = Config::default();
            change(&mut config, edit).ok()?;
            add_service(text, services, config.services.first()?)
        }
        Edit::RemoveService { name } => {
            let at = before.services.iter().position(|service| service.name == *name)?;
            match element(services?, at)? {
                Place::Lines(table) => Some(remove_blocks(text, &blocks(text, table)?)),
                Place::Inline(_) => remove_element(text, services?.as_array()?, at),
            }
        }
        Edit::AddBackend { service, endpoint, weight, state } => {
            let (place, service) = find(service)?;
            let backend =
                crate::model::Backend { endpoint: *endpoint, weight: *weight, state: *state };
            add_backend(text, place, &text::backend(&backend, service.endpoint.port))
        }
        Edit::RemoveBackend { service, endpoint } => {
            let (place, service) = find(service)?;
            let at = service.backends.iter().position(|b| b.endpoint == *endpoint)?;
            let backends = place.table().get(backend_key())?;
            match element(backends, at)? {
                Place::Lines(table) => Some(remove_blocks(text, &[block(text, table)?])),
                Place::Inline(_) => remove_element(text, backends.as_array()?, at),
            }
        }
        Edit::SetBackend { service, endpoint, weight, state } => {
            let (place, service) = find(service)?;
            let at = service.backends.iter().position(|b| b.endpoint == *endpoint)?;
            let place = element(place.table().get(backend_key())?, at)?;
            let now = service.backends[at];
            let mut values = Pairs::new();
            if let Some(weight) = weight.filter(|weight| *weight != now.weight) {
                values.push((backend::WEIGHT.name, weight.to_string()));
            }
            if let Some(state) = state.filter(|state| *state != now.state) {
                values.push((backend::STATE.name, format!("\"{state}\"")));
            }
            set_values(text, place, values)
        }
    }
}

fn backend_key() -> &'static str {
    service::BACKEND.name
}

/// How a table is written.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// Below a header of its own.
    Lines(&'a Table),
    /// Within braces.
    Inline(&'a InlineTable),
}

impl<'a> Place<'a> {
    fn table(self) -> &'a dyn TableLike {
        match self {
            Self::Lines(table) => table,
            Self::Inline(table) => table,
        }
    }
}

fn element(item: &Item, at: usize) -> Option<Place<'_>> {
    match item {
        Item::ArrayOfTables(tables) => tables.get(at).map(Place::Lines),
        Item::Value(Value::Array(array)) => {
            array.get(at).and_then(Value::as_inline_table).map(Place::Inline)
        }
        _ => None,
    }
}

fn add_service(text: &str, services: Option<&Item>, service: &Service) -> Option<String> {
    let mut pairs = text::service(service);
    let probe = service.probe.as_ref().map(text::probe);
    if let Some(Item::Value(Value::Array(array))) = services {
        if let Some(probe) = &probe {
            pairs.push((service::PROBE.name, text::inline(probe)));
        }
        return add_element(text, array, &text::inline(&pairs));
    }
    let style = Style { newline: newline(text), header: "", key: "", blank_line: true };
    let new = insert_block(text, text.len(), service::SECTION.header, &pairs, &style);
    Some(match probe {
        Some(pairs) => insert_block(&new, new.len(), probe::SECTION.header, &pairs, &style),
        None => new,
    })
}

fn add_backend(text: &str, place: Place<'_>, pairs: &Pairs) -> Option<String> {
    match (place.table().get(backend_key()), place) {
        (Some(Item::Value(Value::Array(array))), _) => {
            add_element(text, array, &text::inline(pairs))
        }
        (None, Place::Inline(table)) => {
            let list = format!("{} = [{}]", backend_key(), text::inline(pairs));
            let end = last_value(table)?;
            Some(splice(text, end..end, &format!(", {list}")))
        }
        (backends, Place::Lines(table)) => {
            let last = backends.and_then(Item::as_array_of_tables).and_then(|b| b.iter().last());
            let after = match last {
                Some(sibling) => block(text, sibling)?,
                None => blocks(text, table)?.pop()?,
            };
            let own = sibling_style(text, last, after.start);
            let at = end_with_comments(text, after.end);
            Some(insert_block(text, at, backend::SECTION.header, pairs, &own))
        }
        _ => None,
    }
}

/// Replaces values, and adds those that are not there after the last one.
fn set_values(text: &str, place: Place<'_>, values: Pairs) -> Option<String> {
    let mut splices: Vec<(Range<usize>, String)> = Vec::new();
    let mut added = String::new();
    let end = last_value(place.table())?;
    for (key, value) in values {
        match (place.table().get(key), place) {
            (Some(old), _) => splices.push((old.span()?, value)),
            (None, Place::Inline(_)) => added.push_str(&format!(", {key} = {value}")),
            (None, Place::Lines(_)) => {
                added.push_str(&format!("{}{key} = {value}{}", indent(text, end), newline(text)));
            }
        }
    }
    if !added.is_empty() {
        let at = match place {
            Place::Inline(_) => end,
            Place::Lines(_) => next_line(text, end),
        };
        if at > 0 && matches!(place, Place::Lines(_)) && !text[..at].ends_with('\n') {
            added = format!("{}{added}", newline(text));
        }
        splices.push((at..at, added));
    }
    splices.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    Some(splices.into_iter().fold(text.to_owned(), |text, (at, new)| splice(&text, at, &new)))
}
