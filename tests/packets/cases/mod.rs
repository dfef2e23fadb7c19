//! Every case, by topic.

pub mod budget;

use crate::case::Case;

macro_rules! topics {
    ($($topic:ident)+) => {
        $( mod $topic; )+

        /// Every case.
        pub fn all() -> Vec<Case> {
            let mut all = vec![];
            $( all.extend($topic::cases()); )+
            all
        }
    };
}

topics! {
    forwarding
    ethernet
    ipv4
    truncated
    checksums
    guard
    schedulers
    scheduling
    handshake
    closing
    resets
    lost_backends
    refusals
    collisions
    next_hop
    traffic
    idle
    floods
    faults
}
