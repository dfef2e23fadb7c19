//! `cargo xtask test`: every test there is, from cheap to dear.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;

use crate::{
    build,
    setup::{self, Scope},
    shell,
};

/// Run every test: host, packets, end to end, and the demo (needs root)
#[derive(clap::Args)]
pub struct Args {
    /// Only these stages; repeat it for more
    #[arg(long, value_enum, value_name = "STAGE")]
    only: Vec<Stage>,
    /// Only tests whose name holds this; leaves the demo out
    filter: Option<String>,
    /// More arguments for the test binaries
    #[arg(last = true, value_name = "ARGS")]
    more: Vec<String>,
}

/// The stages, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Arithmetic, layout, planning, config, and the harness itself.
    Host,
    /// Packet in, packet out, through the real program.
    Packets,
    /// Real clients and servers in namespaces.
    E2e,
    /// `cargo xtask demo`, judged by its JSON.
    Demo,
}

/// What the test binaries reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// The verb.
pub fn main(args: Args) -> Result<()> {
    shell::need_root("test", "it makes network namespaces and loads XDP programs")?;
    setup::ensure(Scope::Test)?;

    let begun = Instant::now();
    let mut total = Count::default();
    let mut broken = vec![];
    for &stage in Stage::value_variants() {
        let chosen = args.only.is_empty() || args.only.contains(&stage);
        if !chosen || (stage == Stage::Demo && args.filter.is_some()) {
            continue;
        }
        println!("\n━━━ {} ━━━", stage.title());
        let (begun, before) = (Instant::now(), total);
        let outcome = match stage {
            Stage::Demo => demo(&mut total),
            _ => cargo_test(stage, &args, &mut total),
        };
        let (passed, seconds) = (total.passed - before.passed, begun.elapsed().as_secs_f64());
        match outcome {
            Ok(()) => println!("━━━ {}: {passed} passed, {seconds:.1} s", stage.title()),
            Err(error) => {
                println!("━━━ {}: FAILED, {seconds:.1} s: {error:#}", stage.title());
                // A stage that does not even build fails no test, but fails.
                total.failed = total.failed.max(before.failed + 1);
                broken.push(stage.title());
            }
        }
    }
    let Count { passed, failed, ignored } = total;
    let seconds = begun.elapsed().as_secs_f64();
    println!("\ntotal: {passed} passed, {failed} failed, {ignored} ignored in {seconds:.1} s");
    println!("{passed} passed, {failed} failed");
    ensure!(broken.is_empty(), "failed: {}", broken.join(", "));
    ensure!(passed > 0, "not one test has run: no name holds {:?}", args.filter);
    Ok(())
}

impl Stage {
    fn title(self) -> &'static str {
        match self {
            Self::Host => "host tests",
            Self::Packets => "packet tables",
            Self::E2e => "end to end",
            Self::Demo => "demo",
        }
    }

    /// What `cargo test` is to run, call by call.
    fn calls(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Host => &[
                &["--workspace", "--exclude", "foobar-lb-tests", "--no-fail-fast"],
                &["--package", "foobar-lb-tests", "--lib"],
            ],
            Self::Packets => &[&["--package", "foobar-lb-tests", "--test", "packets"]],
            Self::E2e => &[&["--package", "foobar-lb-tests", "--test", "e2e"]],
            Self::Demo => &[],
        }
    }
}

/// Runs `cargo test` for a stage, and counts.
fn cargo_test(stage: Stage, args: &Args, count: &mut Count) -> Result<()> {
    let mut outcome = Ok(());
    for call in stage.calls() {
        let mut cargo = shell::cargo();
        cargo.arg("test").args(*call);
        if stage == Stage::E2e {
            cargo.env("FOOBAR_LB_BIN", build::foobar_lb(false)?);
        }
        cargo.args(&args.filter);
        if !args.more.is_empty() {
            cargo.arg("--").args(&args.more);
        }
        // The first failure is told; the calls after it are made all the same.
        outcome = outcome.and(run_counted(&mut cargo, count));
    }
    outcome
}

/// Runs a command, passes its stdout on, and adds up the results that it reports.
fn run_counted(command: &mut Command, count: &mut Count) -> Result<()> {
    let line = shell::line(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{line}`"))?;
    let stdout = child.stdout.take().context("a pipe")?;
    for text in BufReader::new(stdout).lines() {
        let text = text.with_context(|| format!("cannot read what `{line}` says"))?;
        println!("{text}");
        if let Some(result) = result_line(&text) {
            count.passed += result.passed;
            count.failed += result.failed;
            count.ignored += result.ignored;
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// The counts in a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn result_line(line: &str) -> Option<Count> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut result = Count::default();
    for part in counts.split("; ") {
        let mut words = part.split(' ');
        let (number, what) = (words.next()?.parse().ok(), words.next());
        match (number, what) {
            (Some(number), Some("passed")) => result.passed = number,
            (Some(number), Some("failed")) => result.failed = number,
            (Some(number), Some("ignored")) => result.ignored = number,
            _ => {}
        }
    }
    Some(result)
}

/// Runs the demo as a user would, and looks at its JSON.
fn demo(count: &mut Count) -> Result<()> {
    let begun = Instant::now();
    // By pid: the file may have been replaced by a build of these very tests.
    let this_binary = format!("/proc/{}/exe", std::process::id());
    let mut demo = shell::command(&this_binary);
    demo.args(["demo", "--seconds", "12", "--json"]);
    let output = demo.stderr(Stdio::inherit()).output().context("cannot start the demo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    ensure!(output.status.success(), "`cargo xtask demo` failed ({})", output.status);
    let summary: serde_json::Value = serde_json::from_str(&text).context("not one JSON object")?;
    ensure!(summary["failed"] == 0, "requests failed: {}", summary["failures"]);
    for key in ["requests", "backends", "detect_ms", "recover_ms", "xdp_mode"] {
        ensure!(!summary[key].is_null(), "the summary lacks {key}");
    }
    ensure!(begun.elapsed() < Duration::from_secs(60), "12 seconds took more than a minute");
    count.passed += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_the_lines_of_test_binaries() {
        let line =
            "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; finished in 0.10s";
        assert_eq!(result_line(line), Some(Count { passed: 3, failed: 2, ignored: 1 }));
        assert_eq!(result_line("test wire::tests::x ... ok"), None);
    }
}
