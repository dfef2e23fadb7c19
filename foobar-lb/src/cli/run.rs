//! `foobar-lb run`

use std::{path::PathBuf, process};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::sync::mpsc;

use crate::{
    api::{self, Server},
    controller::{Controller, Options, Signals},
    dataplane::{PIN_ROOT, XdpMode},
    system::privilege,
};

/// Where the configuration is unless told otherwise.
const CONFIG: &str = "/etc/foobar-lb/foobar-lb.toml";
/// Requests that wait for the controller.
const COMMAND_QUEUE: usize = 64;

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An interface to balance on; repeat it for several
    #[arg(long = "iface", value_name = "NAME", required = true)]
    interfaces: Vec<String>,

    /// The configuration file [default: /etc/foobar-lb/foobar-lb.toml, which need not exist yet]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where the packet path runs: in the driver, or in the kernel's receive path
    #[arg(long, value_enum, default_value_t = ModeArgument::Auto)]
    xdp_mode: ModeArgument,

    /// The folder on the BPF file system for programs, maps and links
    #[arg(long, value_name = "PATH", default_value = PIN_ROOT)]
    pin_root: PathBuf,

    /// Log every packet that is passed or dropped, with its reason: for a hard day, it is slow
    #[arg(long)]
    log_packets: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArgument {
    /// Native where the driver can, else generic
    Auto,
    /// In the driver, or not at all
    Native,
    /// In the kernel's receive path: any driver, slower
    Generic,
}

impl ModeArgument {
    fn mode(self) -> Option<XdpMode> {
        match self {
            Self::Auto => None,
            Self::Native => Some(XdpMode::Native),
            Self::Generic => Some(XdpMode::Generic),
        }
    }
}

pub(super) async fn run(arguments: Arguments, socket: PathBuf) -> anyhow::Result<()> {
    let Arguments { interfaces, config, xdp_mode, pin_root, log_packets } = arguments;
    let options = Options {
        interfaces,
        may_be_missing: config.is_none(),
        config: config.unwrap_or_else(|| PathBuf::from(CONFIG)),
        pin_root,
        xdp_mode: xdp_mode.mode(),
        log_packets,
    };
    let default_level =
        if log_packets { "info,foobar_lb_xdp=debug,foobar_lb_ebpf=debug" } else { "info" };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(default_level))
        .format_timestamp_millis()
        .init();

    privilege::check()?;
    // Before anything is touched: no second controller, and no signal missed.
    let signals = Signals::new().context("taking over signals")?;
    let server = Server::bind(&socket).await?;
    let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
    let controller = Controller::start(&options, receiver).await?;
    let serving = tokio::spawn(api::serve(server, commands));
    log::info!("ready; pid {}, socket {}", process::id(), socket.display());
    let result = controller.run(signals).await;
    serving.abort();
    // Dropped with the task, the server removes its socket.
    let _ = serving.await;
    Ok(result?)
}
