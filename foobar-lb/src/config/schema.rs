//! What a key and a section of the configuration file are; the keys themselves are in [`keys`].
//!
//! [`keys`]: super::keys
#![forbid(unsafe_code)]

use std::fmt;

/// One key of a section.
#[derive(Debug)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What may stand to the right of `=`.
    pub kind: Kind,
    /// What holds if the key is absent.
    pub fallback: Fallback,
    /// A value in TOML, for messages.
    pub example: &'static str,
    /// One sentence for the manual.
    pub meaning: &'static str,
    /// What other tools call it; recognised only to name the right key in the message.
    pub aliases: &'static [&'static str],
}

/// What a key's value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// An integer within an inclusive range.
    Integer {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// One of a few words.
    Word(fn() -> Vec<String>),
    /// A string with rules of its own, described.
    Text(&'static str),
    /// `[section]`.
    Table(&'static Section),
    /// `[[section]]`, any number of times.
    Tables(&'static Section),
}

/// What holds if a key is absent.
#[derive(Clone, Copy, Debug)]
pub enum Fallback {
    /// The key must be there.
    Required,
    /// A flag.
    Flag(bool),
    /// A number.
    Integer(u64),
    /// A string or a word.
    Text(&'static str),
    /// Something that depends on the rest, described.
    Other(&'static str),
}

/// A table of the file.
pub struct Section {
    /// The header with its brackets; empty for the top of the file.
    pub header: &'static str,
    /// Its keys, in the order in which the manual shows them.
    pub keys: &'static [&'static Key],
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.header)
    }
}

impl Section {
    /// "in" and the header, or "at the top of the file".
    pub fn place(&self) -> String {
        match self.header {
            "" => "at the top of the file".to_owned(),
            header => format!("in {header}"),
        }
    }
}
