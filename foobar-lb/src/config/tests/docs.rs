//! docs/configuration.md says what the code does.
//!
//! With `UPDATE_DOCS=1` in the environment the parts that are generated are written instead of
//! compared.

use std::{fs, path::PathBuf};

use super::mistakes_in_docs;
use crate::config::{
    keys::SECTIONS,
    parse,
    schema::{Fallback, Key, Kind, Section},
};

fn manual() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"))
}

fn row(key: &Key) -> String {
    let value = match key.kind {
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Integer { min, max } => format!("integer, {min} to {max}"),
        Kind::Word(words) => {
            words().iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Text(rule) => rule.to_owned(),
        Kind::Table(section) | Kind::Tables(section) => format!("`{}`", section.header),
    };
    let default = match key.fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Flag(flag) => format!("`{flag}`"),
        Fallback::Integer(n) => format!("`{n}`"),
        Fallback::Text(text) => format!("`\"{text}\"`"),
        Fallback::Other(what) => what.to_owned(),
    };
    format!("| `{}` | {value} | {default} | {} |\n", key.name, key.meaning)
}

fn table(section: &Section) -> String {
    let head = "| Key | Value | Default | Meaning |\n|---|---|---|---|\n";
    head.to_owned() + &section.keys.iter().map(|key| row(key)).collect::<String>()
}

/// The text between `<!-- NAME -->` and `<!-- end -->`, replaced.
fn with_part(text: &str, name: &str, part: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once("<!-- end -->").expect("the part has an end");
    format!("{before}{begin}{part}<!-- end -->{after}")
}

#[test]
fn the_manual_has_every_key_with_its_default_and_range() {
    let text = fs::read_to_string(manual()).expect("docs/configuration.md is there");
    let mut wanted = text.clone();
    for section in SECTIONS {
        wanted = with_part(&wanted, &format!("keys {}", section.place()), &table(section));
    }
    let output = format!("```text\n{}\n```\n", mistakes_in_docs());
    wanted = with_part(&wanted, "errors", &output);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(manual(), &wanted).unwrap();
    } else {
        assert!(
            text == wanted,
            "docs/configuration.md is behind; `UPDATE_DOCS=1 cargo test -p foobar-lb --lib \
             config::` brings it up to date"
        );
    }
}

#[test]
fn the_examples_in_the_manual_are_valid() {
    let text = fs::read_to_string(manual()).unwrap();
    let mut found = 0;
    for block in text.split("```toml\n").skip(1) {
        let example = block.split("```").next().unwrap();
        if let Err(errors) = parse(example, "docs/configuration.md") {
            panic!("{errors}");
        }
        found += 1;
    }
    assert!(found > 0);
}

#[test]
fn defaults_and_examples_are_within_their_own_rules() {
    for key in SECTIONS.iter().flat_map(|section| section.keys) {
        match (key.kind, key.fallback) {
            (Kind::Integer { min, max }, Fallback::Integer(n)) => assert!((min..=max).contains(&n)),
            (Kind::Word(words), Fallback::Text(word)) => assert!(words().contains(&word.into())),
            (Kind::Flag, Fallback::Flag(_)) | (_, Fallback::Required | Fallback::Other(_)) => {}
            (Kind::Text(_), Fallback::Text(_)) => {}
            _ => panic!("{}: the default is of another type", key.name),
        }
    }
}
