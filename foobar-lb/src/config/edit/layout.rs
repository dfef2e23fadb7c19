//! Where things stand in the text: lines, and the lines that belong to a table with a header.
#![forbid(unsafe_code)]

use std::ops::Range;

use toml_edit::{Item, Table, TableLike, Value};

/// Where the line of this byte begins.
pub(super) fn line_start(text: &str, byte: usize) -> usize {
    text[..byte].rfind('\n').map_or(0, |at| at + 1)
}

/// Where the line after this byte's line begins.
pub(super) fn next_line(text: &str, byte: usize) -> usize {
    text[byte..].find('\n').map_or(text.len(), |at| byte + at + 1)
}

/// The line that begins at this byte, without its end.
pub(super) fn line_at(text: &str, start: usize) -> &str {
    text[start..].lines().next().unwrap_or("")
}

/// The white space at the beginning of this byte's line.
pub(super) fn indent(text: &str, byte: usize) -> &str {
    let line = line_at(text, line_start(text, byte));
    &line[..line.len() - line.trim_start().len()]
}

/// The line before the one that begins at this byte; `None` at the top.
pub(super) fn line_before(text: &str, start: usize) -> Option<&str> {
    let end = text[..start].strip_suffix('\n')?.len();
    Some(text[line_start(text, end)..end].trim_end_matches('\r'))
}

/// The end of line that the text uses.
pub(super) fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Whether there is nothing here but blank lines and comment lines.
pub(super) fn is_trivia(text: &str) -> bool {
    text.lines().all(|line| is_blank(line) || is_comment(line))
}

/// Whether the line holds nothing.
pub(super) fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// Whether the line holds only a comment.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Skips white space and comments.
pub(super) fn skip_trivia(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if !text[at..].starts_with('#') {
            return at;
        }
        at = next_line(text, at);
    }
}

/// The lines of a table with a header: from the header to the last of its own keys, not the
/// tables below it.
pub(super) fn block(text: &str, table: &Table) -> Option<Range<usize>> {
    let header = table.span()?;
    let end = last_value(table).unwrap_or(header.end).max(header.end);
    Some(line_start(text, header.start)..next_line(text, end))
}

/// The blocks of a table with a header and of everything below it, in the file's order.
pub(super) fn blocks(text: &str, table: &Table) -> Option<Vec<Range<usize>>> {
    fn collect(text: &str, table: &Table, found: &mut Vec<Range<usize>>) -> Option<()> {
        if !table.is_dotted() && !table.is_implicit() {
            found.push(block(text, table)?);
        }
        for (_, item) in table.iter() {
            match item {
                Item::Table(table) => collect(text, table, found)?,
                Item::ArrayOfTables(tables) => {
                    tables.iter().try_for_each(|table| collect(text, table, found))?;
                }
                Item::Value(_) | Item::None => {}
            }
        }
        Some(())
    }
    let mut found = Vec::new();
    collect(text, table, &mut found)?;
    found.sort_by_key(|range| range.start);
    Some(found)
}

/// The end of the last value that stands in the table itself.
pub(super) fn last_value(table: &dyn TableLike) -> Option<usize> {
    table
        .iter()
        .filter_map(|(_, item)| match item {
            Item::Value(Value::InlineTable(dotted)) if dotted.is_dotted() => last_value(dotted),
            Item::Value(value) => value.span().map(|span| span.end),
            Item::Table(dotted) if dotted.is_dotted() => last_value(dotted),
            _ => None,
        })
        .max()
}

/// The text with a part of it replaced.
pub(super) fn splice(text: &str, at: Range<usize>, new: &str) -> String {
    [&text[..at.start], new, &text[at.end..]].concat()
}
