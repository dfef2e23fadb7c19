//! `cargo xtask demo`: foobar-lb at work on real traffic, in namespaces that vanish.
//!
//! [`stage`] builds what is shown, [`script`] says what happens when, [`measure`] what came of
//! it, [`view`] shows it live, and [`verdict`] judges and tells it.

mod measure;
mod script;
mod stage;
mod verdict;
mod view;

use std::{
    io::IsTerminal as _,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use foobar_lb_tests::{Lab, judge};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{
    build,
    setup::{self, Scope},
    shell::{self, say},
};
use stage::Stage;
use view::View;

/// Show foobar-lb at work: a client, three backends, one of which is killed and comes back
///
/// Needs root and nothing else: it builds its own network, which vanishes at the end. Exits with 0
/// only if all that it shows held.
#[derive(Clone, clap::Args)]
pub struct Args {
    /// How long the traffic runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(8..=3600))]
    seconds: u64,
    /// Go on after the script until Ctrl-C; kill a server yourself, it is brought back
    #[arg(long)]
    interactive: bool,
    /// Write the summary as one JSON object to stdout, and the rest to stderr
    #[arg(long)]
    json: bool,
    /// Where the packet path runs: in the driver, or in the kernel's generic hook
    #[arg(long, value_enum, default_value_t = XdpMode::Auto)]
    xdp_mode: XdpMode,
    /// Use the optimised controller (the packet path always is)
    #[arg(long)]
    release: bool,
}

/// `foobar-lb run --xdp-mode`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum XdpMode {
    /// Native where the driver has it, else generic.
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the kernel's generic hook.
    Generic,
}

impl XdpMode {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// The verb.
pub fn main(args: Args) -> Result<ExitCode> {
    shell::need_root("demo", "it makes network namespaces and loads XDP programs")?;
    setup::ensure(Scope::Demo)?;
    say("building foobar-lb");
    let binary = build::foobar_lb(args.release)?;

    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // The second time the process ends at once; the kernel then removes what is left.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted))?;
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }

    let mut view = View::new(!args.json && std::io::stdout().is_terminal(), args.json);
    let lab = Lab::new().context("cannot make a private place for the demo")?;
    let cpus = judge::possible_cpus()?;
    let mut stage = Stage::build(&lab, binary, args.xdp_mode.name())?;
    let played = script::play(&mut stage, &mut view, &args, cpus, &interrupted);
    view.leave();
    let leftovers = stage.strike();
    drop(lab);

    let Some(mut observed) = played? else {
        say("stopped; all that the demo had made is removed");
        return Ok(ExitCode::from(130));
    };
    observed.leftovers = leftovers;
    let verdict = verdict::judge(&observed);
    if args.json {
        println!("{}", verdict::json(&observed, &verdict)?);
        eprint!("{}", verdict::text(&observed, &verdict, std::io::stderr().is_terminal()));
    } else {
        print!("{}", verdict::text(&observed, &verdict, std::io::stdout().is_terminal()));
    }
    Ok(if verdict.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether somebody wants us to end.
fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::SeqCst)
}
