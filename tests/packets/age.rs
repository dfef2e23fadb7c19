//! Makes flows older than they are.
//!
//! The clock is the kernel's and cannot be put forward, and the packet path alone writes flows. So
//! this goes round both: from the interface to the program's id, to its maps' ids, to the map.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use aya::{
    maps::{HashMap, Map, MapData},
    programs::loaded_programs,
};
use foobar_lb::model::Protocol;
use foobar_lb_common::{
    limits::ticks,
    map::{Flow, FlowKey},
};

use crate::{
    ground::{At, Side},
    lab::{Lab, flow_key},
};

/// Where a flow's time lies.
const SEEN: usize = std::mem::offset_of!(Flow, seen);

impl Lab {
    /// Makes one direction of a flow older: `from` and `to` as its packets carry them.
    pub fn age(
        &self,
        protocol: Protocol,
        from: At,
        to: At,
        established: bool,
        seconds: u32,
    ) -> Result<()> {
        let name = if established { "flows" } else { "new_flows" };
        let id = attached_program(Side::Client)?;
        // Programs of other cases come and go meanwhile: what cannot be read is not ours.
        let program = loaded_programs().flatten().find(|program| program.id() == id);
        let maps = program.context("no such program")?.map_ids()?.context("no ids of maps")?;
        for id in maps {
            let map = MapData::from_id(id)?;
            if map.info()?.name_as_str() != Some(name) {
                continue;
            }
            let map = Map::LruHashMap(map);
            let mut map: HashMap<_, [u8; 16], [u8; 32]> = map.try_into()?;
            let key = key_bytes(&flow_key(protocol, from, to));
            let mut flow = map.get(&key, 0).context("no such entry")?;
            let seen = &mut flow[SEEN..SEEN + 4];
            let before = u32::from_ne_bytes([seen[0], seen[1], seen[2], seen[3]]);
            seen.copy_from_slice(&before.wrapping_sub(ticks(seconds)).to_ne_bytes());
            map.insert(key, flow, 0)?;
            return Ok(());
        }
        bail!("the program has no map {name}")
    }
}

/// The id of the program on this side's interface.
fn attached_program(side: Side) -> Result<u32> {
    let output = Command::new("ip")
        .args(["-json", "-details", "link", "show", "dev", side.interface()])
        .output()
        .context("cannot start `ip`")?;
    let links: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let id = links[0]["xdp"]["prog"]["id"].as_u64().context("no program is attached")?;
    Ok(id as u32)
}

fn key_bytes(key: &FlowKey) -> [u8; 16] {
    let FlowKey { source, destination, source_port, destination_port, protocol, zero } = *key;
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&source.0);
    bytes[4..8].copy_from_slice(&destination.0);
    bytes[8..10].copy_from_slice(&source_port.0);
    bytes[10..12].copy_from_slice(&destination_port.0);
    bytes[12] = protocol.0;
    bytes[13..].copy_from_slice(&zero);
    bytes
}
