//! Exit codes and the last words of a failed command.

use std::process::ExitCode;

use crate::api::ClientError;

/// The exit codes, as `--help` shows them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: the error says what and why (also: `check` found errors)
  2  the command line is wrong
  3  no controller answers on the socket
  4  the controller refused: no such service or backend, a conflict, a bad value; nothing changed";

/// A check that found something to say has already printed it.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has errors")]
pub(super) struct Reported;

/// A list was asked for of a service that the controller does not have.
#[derive(Debug, thiserror::Error)]
#[error("there is no service `{name}`; there are: {there}")]
pub(super) struct NoService {
    pub(super) name: String,
    /// The names of those that are there.
    pub(super) there: String,
}

pub(super) fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if error.downcast_ref::<Reported>().is_some() {
        return ExitCode::from(1);
    }
    let text = whole(&error);
    // Errors in the configuration come as a compiler shows them, with a heading of their own.
    let prefix = if text.starts_with("error: ") { "" } else { "foobar-lb: " };
    eprintln!("{prefix}{text}");
    if error.downcast_ref::<NoService>().is_some() {
        return ExitCode::from(4);
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::NoController { .. }) => ExitCode::from(3),
        Some(ClientError::Refused(_)) => ExitCode::from(4),
        Some(ClientError::Failed(_) | ClientError::Broken(_)) | None => ExitCode::from(1),
    }
}

/// The error with its causes, each said once: many errors quote their cause themselves.
fn whole(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_said_once() {
        let quoting = anyhow!("inner").context("outer: inner");
        assert_eq!(whole(&quoting), "outer: inner");
        let plain = anyhow!("inner").context("outer");
        assert_eq!(whole(&plain), "outer: inner");
    }
}
