//! What is not TOML at all, said in the same shape as every other error.
#![forbid(unsafe_code)]

use std::ops::Range;

use toml::de::DeTable;

use super::{
    diagnostic::{Fault, Problems},
    keys::SECTIONS,
    schema::Kind,
};

/// Parses TOML. `None`: it is so broken that its keys cannot be judged, and the reason is among the
/// problems. With `Some`, a problem may still be a key that is set twice.
pub(super) fn parse<'a>(problems: &mut Problems<'a>) -> Option<DeTable<'a>> {
    let text = problems.text();
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut found: Vec<(Range<usize>, &str)> =
        errors.iter().map(|e| (e.span().unwrap_or(0..0), e.message())).collect();

    // One mistake often makes the parser stumble again on the same line: the first report is the
    // one that a person understands.
    found.sort_by_key(|(span, _)| line_start(text, span.start));
    found.dedup_by_key(|(span, _)| line_start(text, span.start));

    let mut readable = true;
    let mut repeated_until = 0;
    for (span, message) in found {
        if message != "duplicate key" {
            readable = false;
        } else if text[line_start(text, span.start)..].trim_start().starts_with('[') {
            readable = false;
            repeated_until = next_header(text, span.end);
        } else if span.start < repeated_until {
            // The keys below a repeated header repeat as well; the header was reported.
            continue;
        }
        let span = widen(text, span, message);
        let fault = fault(text, &span, message);
        problems.push(span, fault);
    }
    readable.then(|| document.into_inner())
}

/// The parser's words and ours, with the cure.
fn fault(text: &str, span: &Range<usize>, message: &str) -> Fault {
    let found = &text[span.clone()];
    let has = |needle| message.contains(needle);
    if message == "duplicate key" {
        return duplicate(text, span);
    }
    if found.is_empty() && has("string values must be quoted") {
        return Fault::new("a value is missing after `=`", "write the value, or remove the line");
    }
    if has("string values must be quoted") || has("invalid float") || has("invalid boolean") {
        let word = found.trim_matches(|c: char| !c.is_ascii_graphic());
        return Fault::new(
            format!("`{found}` is not a value"),
            match word.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => "write it as `true`".to_owned(),
                "false" | "no" | "off" => "write it as `false`".to_owned(),
                _ => format!("text stands in double quotes: `\"{word}\"`"),
            },
        );
    }
    if has("invalid basic string") || has("invalid literal string") {
        return Fault::new("the text is not closed", "end it with the quote it began with");
    }
    if has("unclosed array table") {
        return Fault::new("the header is not closed", "end it with `]]`");
    }
    if has("unclosed table") {
        return Fault::new("the header is not closed", "end it with `]`");
    }
    if has("key with no value") {
        return Fault::new(
            "a key without a value",
            "write `key = value`; a comment begins with `#`",
        );
    }
    if has("leading zero") {
        return Fault::new("a number must not begin with 0", "remove the leading zeros");
    }
    if has("unexpected key or value") {
        return Fault::new(
            "something is left over after the value",
            "one key to a line; a comment begins with `#`",
        );
    }
    if has("array") {
        return Fault::new(
            first_clause(message),
            "separate the elements by commas, and end the list with `]`",
        );
    }
    if has("inline table") {
        return Fault::new(
            first_clause(message),
            "separate the pairs by commas, and end the table with `}`",
        );
    }
    Fault::new(
        first_clause(message),
        message.split_once(", expected ").map_or_else(
            || "correct it or remove the line".to_owned(),
            |(_, expected)| format!("expected {expected}"),
        ),
    )
}

fn first_clause(message: &str) -> &str {
    message.split_once(", expected").map_or(message, |(clause, _)| clause)
}

/// A key or a header that is there twice.
fn duplicate(text: &str, span: &Range<usize>) -> Fault {
    let name = &text[span.clone()];
    let line = text[line_start(text, span.start)..].trim_start();
    let repeatable = |name: &str| {
        SECTIONS
            .iter()
            .flat_map(|section| section.keys)
            .any(|key| key.name == name && matches!(key.kind, Kind::Tables(_)))
    };
    if !line.starts_with('[') {
        return Fault::new(format!("`{name}` is set twice"), "remove one of the two lines");
    }
    if !line.starts_with("[[") && repeatable(name) {
        let header = line.split(']').next().unwrap_or(line).trim_start_matches('[');
        return Fault::new(
            format!("`[{header}]` is there twice"),
            format!("there can be several: write each with two brackets, `[[{header}]]`"),
        );
    }
    Fault::new(format!("`{name}` is there twice"), "put its keys under one header")
}

/// Takes in the whole word or string around an error, not just the character at which the parser
/// gave up.
fn widen(text: &str, span: Range<usize>, message: &str) -> Range<usize> {
    if span.is_empty() && message.contains("string") {
        let line = line_start(text, span.start);
        if let Some(quote) = text[line..span.start].find(['"', '\'']) {
            return line + quote..span.end;
        }
    }
    let part_of_word = |c: char| c.is_alphanumeric() || "._-+:/".contains(c);
    if !text[span.clone()].chars().all(part_of_word) {
        return span;
    }
    let before = text[..span.start].trim_end_matches(part_of_word).len();
    let rest = &text[span.end..];
    let after = rest.len() - rest.trim_start_matches(part_of_word).len();
    if span.is_empty() && (before == span.start || after == 0) {
        return span;
    }
    before..span.end + after
}

fn line_start(text: &str, byte: usize) -> usize {
    text[..byte].rfind('\n').map_or(0, |at| at + 1)
}

/// Where the next line that begins with `[` begins.
fn next_header(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(newline) = text[at..].find('\n') {
        at += newline + 1;
        if text[at..].trim_start_matches([' ', '\t']).starts_with('[') {
            return at;
        }
    }
    text.len()
}
