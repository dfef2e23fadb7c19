//! Packet tables: a packet in; a verdict, a reason, a packet and counters out, through the real
//! program (`BPF_PROG_TEST_RUN`), on interfaces and routes of the kernel's.
//!
//! Needs root and fails without it. What goes in and what is expected is written by etherparse,
//! and what comes out is read by it: our own code is on neither side of a comparison.
#![forbid(unsafe_code)]

mod age;
mod case;
mod cases;
mod fate;
mod given;
mod ground;
mod judge;
mod lab;
mod network;
mod packet;

use std::process::ExitCode;

use foobar_lb_common::Reason;
use libtest_mimic::{Arguments, Failed, Trial};

use case::Case;

/// Reasons that no packet can be made to meet here.
const WITHOUT_CASE: &[(Reason, &str)] = &[(
    Reason::FlowTable,
    "an LRU table gives up an old entry for a new one; it refuses only while another CPU holds \
     the lock of the same bucket",
)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !arguments.list
        && let Err(error) = lab::check_privilege()
    {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let cases = cases::all();
    let coverage = every_reason_has_a_case(&cases);
    let mut trials = vec![Trial::test("every reason has a case", || coverage)];
    trials.extend(cases.into_iter().map(|case| {
        let name = case.name.clone();
        Trial::test(name, || case.run().map_err(told))
    }));
    trials.extend(cases::budget::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The whole story of an error, outermost first.
fn told(error: anyhow::Error) -> Failed {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n").into()
}

/// A new reason needs a case; one that got a case needs no excuse.
fn every_reason_has_a_case(cases: &[Case]) -> Result<(), Failed> {
    for reason in Reason::ALL {
        let has_case = cases.iter().any(|case| case.reasons.contains(reason));
        let excused = WITHOUT_CASE.iter().any(|(excused, _)| excused == reason);
        match (has_case, excused) {
            (false, false) => return Err(format!("no case expects {}", reason.name()).into()),
            (true, true) => return Err(format!("{} has a case now", reason.name()).into()),
            _ => {}
        }
    }
    Ok(())
}
