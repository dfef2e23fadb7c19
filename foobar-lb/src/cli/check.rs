//! `foobar-lb check`

use std::{io::IsTerminal as _, path::PathBuf};

use clap::Args;
use serde_json::json;

use super::{Format, exit::Reported, output};
use crate::{
    config::{self, LoadError},
    text::count,
};

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    file: PathBuf,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> anyhow::Result<()> {
    let file = arguments.file.display().to_string();
    match (config::load(&arguments.file), format) {
        (Ok((_, config)), Format::Table) => {
            let backends: usize = config.services.iter().map(|s| s.backends.len()).sum();
            output::print(&format!(
                "{file}: good: {}, {}",
                count(config.services.len(), "service"),
                count(backends, "backend")
            ))
        }
        (Ok(_), Format::Json) => output::json(&json!({ "file": file, "good": true, "errors": [] })),
        (Err(LoadError::Invalid(errors)), Format::Table) => {
            eprintln!("{}", errors.render(std::io::stderr().is_terminal()));
            Err(Reported.into())
        }
        (Err(LoadError::Invalid(errors)), Format::Json) => {
            output::json(&json!({ "file": file, "good": false, "errors": errors.errors }))?;
            Err(Reported.into())
        }
        (Err(error), _) => Err(error.into()),
    }
}
