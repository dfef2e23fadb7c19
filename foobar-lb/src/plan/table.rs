//! Fills a service's table: which backend stands in which slot. Every scheduler is a way to fill a
//! table here and a way to pick a slot in it in the packet path.

use foobar_lb_common::hash::mix;

use crate::model::Scheduler;

/// Slots of a maglev table: a prime, and a hundred times as many as 655 backends (the paper's own
/// figure for evenness within 1%).
const MAGLEV: u32 = 65_537;

/// Slots that a weighted round-robin's table has at the most, unless it has more backends.
const MAX_WEIGHTED: u64 = 16_384;

/// A backend that takes new flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its id: what the slots hold.
    pub(super) id: u32,
    /// Its effective weight; never 0.
    pub(super) weight: u32,
    /// What stays the same whatever its id: maglev's permutations come from it.
    pub(super) name: u64,
}

/// The slots for `entries`; empty if there are none.
pub(super) fn fill(scheduler: Scheduler, entries: &[Entry]) -> Vec<u32> {
    match scheduler {
        Scheduler::RoundRobin => entries.iter().map(|entry| entry.id).collect(),
        Scheduler::WeightedRoundRobin => weighted(entries),
        Scheduler::Maglev | Scheduler::SourceHash => maglev(entries, MAGLEV),
    }
}

/// Smooth weighted round-robin, in nginx's order: weights 5, 1, 1 give a a b a c a a.
fn weighted(entries: &[Entry]) -> Vec<u32> {
    let weights = scale(entries);
    let total: i64 = weights.iter().sum();
    let mut current = vec![0i64; weights.len()];
    let mut table = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
    for _ in 0..total {
        let mut best = 0;
        for (i, weight) in weights.iter().enumerate() {
            current[i] += weight;
            if current[i] > current[best] {
                best = i;
            }
        }
        current[best] -= total;
        table.push(entries[best].id);
    }
    table
}

/// The weights in the smallest whole numbers of the same proportion, or, where these are too many
/// slots, of nearly the same proportion; never 0.
fn scale(entries: &[Entry]) -> Vec<i64> {
    let divisor = entries.iter().fold(0, |divisor, entry| gcd(divisor, entry.weight)).max(1);
    let weights: Vec<u64> = entries.iter().map(|e| u64::from(e.weight / divisor)).collect();
    let total: u64 = weights.iter().sum();
    let limit = MAX_WEIGHTED.max(entries.len() as u64);
    weights
        .into_iter()
        .map(|weight| {
            let scaled = if total > limit { (weight * limit + total / 2) / total } else { weight };
            i64::try_from(scaled.max(1)).unwrap_or(i64::MAX)
        })
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Maglev's table (Eisenbud et al., NSDI 2016, section 3.4): each backend walks the slots in an
/// order of its own and takes the next free one when its turn comes. Turns come in proportion to
/// the weights. `size` must be a prime, so that each walk meets every slot.
fn maglev(entries: &[Entry], size: u32) -> Vec<u32> {
    const EMPTY: u32 = u32::MAX;
    if entries.is_empty() {
        return Vec::new();
    }
    // In an order of their own, so that every balancer makes the same table.
    let mut entries = entries.to_vec();
    entries.sort_unstable_by_key(|entry| entry.name);
    let mut walks: Vec<Walk> = entries.iter().map(|entry| Walk::new(entry.name, size)).collect();
    let mut table = vec![EMPTY; size as usize];
    let heaviest = entries.iter().map(|entry| u64::from(entry.weight)).max().unwrap_or(1);
    // Each round gives every backend credit for its weight; a whole credit is one slot.
    let mut credits = vec![0u64; entries.len()];
    let mut free = table.len();
    while free > 0 {
        for (i, entry) in entries.iter().enumerate() {
            credits[i] += u64::from(entry.weight);
            if credits[i] < heaviest {
                continue;
            }
            credits[i] -= heaviest;
            loop {
                let slot = walks[i].next(size) as usize;
                if table[slot] == EMPTY {
                    table[slot] = entry.id;
                    break;
                }
            }
            free -= 1;
            if free == 0 {
                break;
            }
        }
    }
    table
}

/// One backend's permutation of the slots.
struct Walk {
    position: u32,
    skip: u32,
}

impl Walk {
    fn new(name: u64, size: u32) -> Self {
        let reduce = |hash: u64, below: u32| (hash % u64::from(below)) as u32;
        Self {
            position: reduce(mix(name ^ 0x6f66_6673_6574), size),
            skip: reduce(mix(name ^ 0x736b_6970), size - 1) + 1,
        }
    }

    fn next(&mut self, size: u32) -> u32 {
        let position = self.position;
        self.position = ((u64::from(position) + u64::from(self.skip)) % u64::from(size)) as u32;
        position
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entries(weights: &[u32]) -> Vec<Entry> {
        weights
            .iter()
            .enumerate()
            .map(|(i, &weight)| Entry {
                id: i as u32,
                weight,
                name: 0x0a00_000b_0050 + ((i as u64) << 16),
            })
            .collect()
    }

    fn counts(table: &[u32]) -> BTreeMap<u32, u32> {
        let mut counts = BTreeMap::new();
        for &id in table {
            *counts.entry(id).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn weighted_round_robin_is_as_smooth_as_nginx() {
        let table = fill(Scheduler::WeightedRoundRobin, &entries(&[5, 1, 1]));
        assert_eq!(table, [0, 0, 1, 0, 2, 0, 0]);
        let table = fill(Scheduler::WeightedRoundRobin, &entries(&[50, 10, 10]));
        assert_eq!(table, [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(fill(Scheduler::WeightedRoundRobin, &entries(&[3, 3])), [0, 1]);
        assert_eq!(fill(Scheduler::RoundRobin, &entries(&[5, 1, 1])), [0, 1, 2]);
    }

    #[test]
    fn great_weights_keep_their_proportion() {
        let table = fill(Scheduler::WeightedRoundRobin, &entries(&[65_535, 32_768, 1]));
        let counts = counts(&table);
        assert!(table.len() <= 16_386, "{}", table.len());
        assert_eq!(counts[&2], 1);
        let ratio = f64::from(counts[&0]) / f64::from(counts[&1]);
        assert!((ratio - 2.0).abs() < 0.001, "{ratio}");
    }

    #[test]
    fn no_backend_no_slots() {
        for scheduler in [Scheduler::RoundRobin, Scheduler::WeightedRoundRobin, Scheduler::Maglev] {
            assert_eq!(fill(scheduler, &[]), [0u32; 0]);
        }
    }

    /// The paper's section 5.3: with 65,537 slots, the fullest of 655 backends holds at most a few
    /// percent more than the emptiest. By construction every count is within one of the others.
    #[test]
    fn maglev_is_even() {
        for n in [1, 2, 3, 10, 100, 655] {
            let table = fill(Scheduler::Maglev, &entries(&vec![7; n]));
            assert_eq!(table.len(), 65_537);
            let counts = counts(&table);
            let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
            assert!(most - least <= 1, "{n} backends: {least} to {most}");
        }
    }

    #[test]
    fn maglev_tables_do_not_depend_on_the_order_of_the_backends() {
        let forwards = entries(&[1, 2, 3, 4]);
        let backwards: Vec<Entry> = forwards.iter().rev().cloned().collect();
        assert_eq!(fill(Scheduler::Maglev, &forwards), fill(Scheduler::Maglev, &backwards));
    }

    #[test]
    fn maglev_heeds_weights_great_and_small() {
        for weights in [vec![1, 2, 3], vec![1000, 2000, 3000], vec![1, 65_535], vec![3, 7, 90]] {
            let total: u64 = weights.iter().map(|&w| u64::from(w)).sum();
            let counts = counts(&fill(Scheduler::Maglev, &entries(&weights)));
            for (id, &weight) in (0..).zip(&weights) {
                let expected = 65_537.0 * f64::from(weight) / total as f64;
                let found = f64::from(*counts.get(&id).unwrap_or(&0));
                assert!((found - expected).abs() <= 2.0, "{weights:?}: {found} for {expected}");
            }
        }
    }

    /// The paper's section 5.3 again: when one of n backends goes, its own slots (1/n) must move,
    /// and few others do; with 65,537 slots and hundreds of backends the paper finds a few percent.
    #[test]
    fn maglev_moves_little_when_a_backend_goes() {
        for n in [3usize, 10, 100, 500] {
            let all = entries(&vec![1; n]);
            let mut others = all.clone();
            others.remove(n / 2);
            let (before, after) = (fill(Scheduler::Maglev, &all), fill(Scheduler::Maglev, &others));
            let gone = (n / 2) as u32;
            let moved = before.iter().zip(&after).filter(|(b, a)| **b != gone && b != a).count();
            let share = moved as f64 / before.len() as f64;
            assert!(share < 0.06, "{n} backends: {:.1}% of the slots moved", share * 100.0);
        }
    }

    proptest! {
        #[test]
        fn weighted_round_robin_gives_each_its_share(
            weights in proptest::collection::vec(1u32..40, 1..8),
        ) {
            let table = fill(Scheduler::WeightedRoundRobin, &entries(&weights));
            let counts = counts(&table);
            let total: u32 = weights.iter().sum();
            let rounds = total / table.len() as u32;
            for (id, weight) in (0..).zip(&weights) {
                prop_assert_eq!(counts[&id] * rounds, *weight);
            }
            // Smooth: between two turns of one backend never more than twice the mean distance.
            for (id, &weight) in (0..).zip(&weights) {
                let turns: Vec<usize> = (0..table.len() * 2)
                    .filter(|i| table[i % table.len()] == id)
                    .collect();
                let mean = f64::from(total) / f64::from(weight);
                for pair in turns.windows(2) {
                    prop_assert!(((pair[1] - pair[0]) as f64) < 2.0 * mean + 1.0);
                }
            }
        }
    }
}
