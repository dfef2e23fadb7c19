//! What the program costs before it has seen a packet, so that a regression is seen the day it is
//! made.
//!
//! A budget is about a fifth above what was measured when it was set. When a change is worth more
//! than that, raise the number here, in the commit of the change, and say why there.

use anyhow::{Result, ensure};
use foobar_lb::{
    dataplane::{Dataplane, LoadOptions, ProgramFigures},
    model::Limits,
};
use libtest_mimic::Trial;

use crate::lab::on_a_thread;

/// Without packet logs, as it runs day by day. The kernel gives up at 1,000,000 verified
/// instructions.
const PLAIN: ProgramFigures = ProgramFigures {
    verified_instructions: 56_000,
    translated_bytes: 22_500,
    machine_bytes: 14_000,
};

/// With `--log-packets`.
const LOGGING: ProgramFigures = ProgramFigures {
    verified_instructions: 210_000,
    translated_bytes: 31_500,
    machine_bytes: 19_500,
};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, log_packets, budget| {
        let label = name.to_owned();
        Trial::test(format!("budget: {name}"), move || {
            measure(&label, log_packets, budget).map_err(crate::told)
        })
    };
    vec![trial("plain", false, PLAIN), trial("with packet logs", true, LOGGING)]
}

fn measure(name: &str, log_packets: bool, budget: ProgramFigures) -> Result<()> {
    let limits = Limits { services: 4, backends: 16, slots: 64, flows: 100, new_flows: 100 };
    let options = LoadOptions { limits, log_packets, ..LoadOptions::default() };
    let figures = on_a_thread(|| Ok(Dataplane::load(&options)?.figures()?))?;
    let rows = [
        ("instructions verified", figures.verified_instructions, budget.verified_instructions),
        ("bytes translated", figures.translated_bytes, budget.translated_bytes),
        ("bytes of machine code", figures.machine_bytes, budget.machine_bytes),
    ];
    let text = rows.map(|(what, is, may)| format!("{is} {what} (budget {may})")).join(", ");
    println!("budget, {name}: {text}");
    for (what, is, may) in rows {
        ensure!(is > 0, "the kernel does not say: {what}");
        ensure!(
            is <= may,
            "over budget: {is} {what}, and {may} are allowed (see this file's head)"
        );
    }
    Ok(())
}
