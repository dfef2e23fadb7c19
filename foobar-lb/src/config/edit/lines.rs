//! Tables with a header: inserts and removes whole lines.
#![forbid(unsafe_code)]

use std::ops::Range;

use toml_edit::{Item, Table};

use super::{
    layout::{
        indent, is_blank, is_comment, is_trivia, line_at, line_before, line_start, newline,
        next_line, splice,
    },
    text::Pairs,
};
use crate::config::keys::backend;

/// How a new block is written.
pub(super) struct Style<'a> {
    pub(super) newline: &'static str,
    /// White space before the header.
    pub(super) header: &'a str,
    /// White space before each key.
    pub(super) key: &'a str,
    pub(super) blank_line: bool,
}

/// The style of the backend before, or of the block after which the first backend comes.
pub(super) fn sibling_style<'a>(
    text: &'a str,
    sibling: Option<&Table>,
    block_start: usize,
) -> Style<'a> {
    let header = indent(text, block_start);
    let keys = sibling.and_then(|table| table.get(backend::ADDRESS.name));
    let key = keys.and_then(Item::span).map_or(header, |span| indent(text, span.start));
    let before = line_before(text, block_start).unwrap_or("");
    let blank_line = sibling.is_none() || is_blank(before) || is_comment(before);
    Style { newline: newline(text), header, key, blank_line }
}

/// Past the comment lines that directly follow a block and are followed by a blank line or by
/// nothing: they belong to it. Other comments belong to what comes next.
pub(super) fn end_with_comments(text: &str, block_end: usize) -> usize {
    let mut at = block_end;
    while at < text.len() && is_comment(line_at(text, at)) {
        at = next_line(text, at);
    }
    if at == text.len() || is_blank(line_at(text, at)) { at } else { block_end }
}

/// Inserts a header and its keys as lines, set off by blank lines.
pub(super) fn insert_block(
    text: &str,
    at: usize,
    header: &str,
    pairs: &Pairs,
    style: &Style<'_>,
) -> String {
    let Style { newline, header: header_indent, key: key_indent, blank_line } = style;
    let mut new = String::new();
    if at > 0 && !text[..at].ends_with('\n') {
        new.push_str(newline);
    }
    if *blank_line && at > 0 && line_before(text, at).is_none_or(|line| !is_blank(line)) {
        new.push_str(newline);
    }
    new.push_str(&format!("{header_indent}{header}{newline}"));
    for (key, value) in pairs {
        new.push_str(&format!("{key_indent}{key} = {value}{newline}"));
    }
    if at < text.len() && *blank_line && !is_blank(line_at(text, at)) {
        new.push_str(newline);
    }
    splice(text, at..at, &new)
}

/// Removes whole lines. Comment lines above stay; those within go, and so do the blank lines that
/// would be left over.
pub(super) fn remove_blocks(text: &str, blocks: &[Range<usize>]) -> String {
    let mut merged: Vec<Range<usize>> = Vec::new();
    for block in blocks {
        match merged.last_mut() {
            Some(last) if is_trivia(&text[last.end..block.start]) => last.end = block.end,
            _ => merged.push(block.clone()),
        }
    }
    merged.iter().rev().fold(text.to_owned(), |text, block| remove_lines(&text, block))
}

fn remove_lines(text: &str, block: &Range<usize>) -> String {
    let mut end = block.end;
    while end < text.len() && is_blank(line_at(text, end)) {
        end = next_line(text, end);
    }
    let before = line_before(text, block.start);
    if end == text.len() {
        // Nothing follows: no blank lines at the end, either.
        let mut kept = block.start;
        while line_before(text, kept).is_some_and(is_blank) {
            kept = line_start(text, kept - 1);
        }
        return text[..kept].to_owned();
    }
    let gap = match before {
        None => "",
        Some(line) if is_blank(line) => "",
        // A comment above must not seem to be about what comes next.
        Some(line) if is_comment(line) || end > block.end => newline(text),
        Some(_) => "",
    };
    splice(text, block.start..end, gap)
}
