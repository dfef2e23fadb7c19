//! `foobar-lb unload`

use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde_json::json;

use super::{Format, output};
use crate::{
    api::{Client, ClientError, types::Changed},
    dataplane::{self, PIN_ROOT},
    system::{Netlink, privilege},
};

/// The arguments of `unload`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder on the BPF file system that the controller was given
    #[arg(long, value_name = "PATH", default_value = PIN_ROOT)]
    pin_root: PathBuf,
}

/// Has the running controller unload, or does it itself where there is none.
pub(super) async fn run(
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> anyhow::Result<()> {
    match client.change::<Changed>(Method::POST, "/v1/unload", None::<&()>).await {
        Ok(_) => {
            wait_until_gone(&arguments.pin_root).await?;
            say(format, "the controller unloaded everything and ended")
        }
        Err(ClientError::NoController { .. }) => {
            privilege::check()?;
            let removed = dataplane::unload(&arguments.pin_root)?;
            match Netlink::open() {
                Ok(netlink) => {
                    netlink.release_neighbours().await?;
                }
                Err(error) => log::warn!("{error}"),
            }
            if removed == 0 {
                say(format, "nothing was loaded")
            } else {
                say(format, &format!("unloaded: {removed} pins removed"))
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// The controller answers first and unloads then.
async fn wait_until_gone(pins: &std::path::Path) -> anyhow::Result<()> {
    for _ in 0..500 {
        if !pins.exists() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    anyhow::bail!("{} is still there after 5 s; see the controller's log", pins.display())
}

fn say(format: Format, done: &str) -> anyhow::Result<()> {
    match format {
        Format::Json => output::json(&json!({ "done": done })),
        Format::Table => output::print(done),
    }
}
