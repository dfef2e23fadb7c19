//! End to end: the real binary in network namespaces, with real clients, servers and faults.
//!
//! Each case has a lab of its own and prints, in one line, what it measured. Needs root, and fails
//! without it. `cargo test -p foobar-lb-tests --test e2e -- NAME` runs those whose name holds NAME;
//! `FOOBAR_LB_KEEP=DIR` keeps their logs.
#![forbid(unsafe_code)]

mod support {
    //! What the cases stand on, beside the harness.
    pub mod config;
    pub mod http;
    pub mod nginx;
    pub mod stage;
}

mod cli;
mod cli_changes;
mod cli_refusals;
mod flood;
mod host;
mod interfaces;
mod iperf;
mod loss;
mod nat_http;
mod nat_udp;
mod neighbours;
mod pins;
mod reload;
mod restart;
mod sysctls;

use std::{fmt::Display, fs, process::ExitCode};

use anyhow::Result;
use foobar_lb_tests::{Lab, http_server};
use libtest_mimic::{Arguments, Failed, Trial};

/// Labs at a time. They wait more than they work; with many more, time-outs would be about the
/// machine and not about foobar-lb.
const LABS: usize = 3;
/// Lines of each log that a failed case shows.
const LOG_LINES: usize = 25;

fn main() -> ExitCode {
    http_server::serve_if_asked();
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(LABS);
    // The longest first, so that none of them is left alone at the end.
    let cases = [
        restart::cases(),
        loss::cases(),
        nat_http::cases(),
        neighbours::cases(),
        iperf::cases(),
        cli_changes::cases(),
        cli_refusals::cases(),
        cli::cases(),
        reload::cases(),
        interfaces::cases(),
        host::cases(),
        flood::cases(),
        pins::cases(),
        nat_udp::cases(),
        sysctls::cases(),
    ];
    libtest_mimic::run(&arguments, cases.into_iter().flatten().collect()).exit_code()
}

/// Makes `cases()`, which lists these functions as trials called `MODULE::FUNCTION`.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        /// The cases of this file.
        pub fn cases() -> Vec<libtest_mimic::Trial> {
            vec![$(crate::trial(concat!(module_path!(), "::", stringify!($case)), $case)),+]
        }
    };
}
pub(crate) use cases;

/// Wraps a case: a lab for it, and the logs of its processes if it fails.
fn trial(path: &'static str, case: fn(&Lab) -> Result<()>) -> Trial {
    let name = path.trim_start_matches("e2e::");
    Trial::test(name, move || {
        let in_lab = |lab: &Lab| case(lab).map_err(|error| format!("{error:#}\n{}", logs(lab)));
        match Lab::scoped(name, |lab| Ok(in_lab(lab))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(text)) => Err(Failed::from(text)),
            Err(error) => Err(Failed::from(format!("{error:#}"))),
        }
    })
}

/// Says what a case measured, under its name.
fn measured(text: impl Display) {
    let thread = std::thread::current();
    println!("     {}: {text}", thread.name().unwrap_or("?"));
}

/// The ends of all logs in a lab.
fn logs(lab: &Lab) -> String {
    let files = fs::read_dir(lab.dir()).into_iter().flatten().flatten();
    let logs =
        files.map(|file| file.path()).filter(|path| path.extension() == Some("log".as_ref()));
    logs.map(|path| {
        let log = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        format!("--- {} said last:\n{tail}\n", path.display())
    })
    .collect()
}
