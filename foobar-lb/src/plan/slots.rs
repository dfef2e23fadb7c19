//! Places the tables in the one array of slots.
//!
//! A table that changes is written beside the old one, and the service is pointed at it after
//! that: a packet sees the old table or the new one, never half of each.

use std::collections::BTreeMap;

use foobar_lb_common::map::ServiceKey;

use super::Image;

pub(super) struct Allocator<'a> {
    now: &'a Image,
    /// Where each taken stretch begins, and where it ends.
    taken: BTreeMap<u32, u32>,
    size: u32,
}

impl<'a> Allocator<'a> {
    /// An allocator that avoids everything that `now` uses.
    pub(super) fn new(now: &'a Image, size: u32) -> Self {
        let taken =
            now.tables.iter().map(|(&start, table)| (start, start + table.len() as u32)).collect();
        Self { now, taken, size }
    }

    /// Where the service's table goes: where it is, if it is the same; else into the first gap
    /// that it fits in.
    pub(super) fn place(&mut self, key: &ServiceKey, table: &[u32]) -> Option<u32> {
        if table.is_empty() {
            return Some(0);
        }
        if let Some(service) = self.now.services.get(key)
            && self.now.tables.get(&service.table_start).is_some_and(|old| old == table)
        {
            return Some(service.table_start);
        }
        let length = table.len() as u32;
        let mut start = 0;
        for (&taken, &end) in &self.taken {
            if taken - start >= length {
                break;
            }
            start = end;
        }
        if length > self.size || start > self.size - length {
            return None;
        }
        self.taken.insert(start, start + length);
        Some(start)
    }
}
