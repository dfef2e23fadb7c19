//! The configuration file: what it may hold, what is wrong with it, and edits that leave the rest
//! of it alone.
//!
//! [`parse`] and [`edit::apply`] are pure; only [`load`] and [`store`] touch a file. Nothing else
//! in the crate reads or writes the configuration file, and nothing here knows about maps.
//!
//! ```text
//! text ─ syntax ─> TOML with places ─ reader, by the keys of `keys` ─> drafts ─ validate ─> model
//! text + edit ─> text, checked: parsing it must give the model with the edit applied
//! ```
#![forbid(unsafe_code)]

mod diagnostic;
pub mod edit;
mod file;
pub mod keys;
mod reader;
pub mod schema;
mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod validate;
mod values;
pub mod words;

pub use diagnostic::{ConfigErrors, Diagnostic};
pub use file::{LoadError, StoreError, load, store};
pub use suggest::near;

use crate::model::Config;
use diagnostic::Problems;

/// Reads a configuration; `file_name` is only for the messages.
///
/// # Errors
///
/// Everything that is wrong with the text. Only where it is not TOML at all do other errors have
/// to wait until that is corrected.
pub fn parse(text: &str, file_name: &str) -> Result<Config, ConfigErrors> {
    let mut problems = Problems::new(text);
    let config = syntax::parse(&mut problems)
        .and_then(|document| validate::config(&document, &mut problems));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems.into_errors(file_name)),
    }
}
