//! Arrays of inline tables: adds and removes elements.
#![forbid(unsafe_code)]

use std::ops::Range;

use toml_edit::{Array, Value};

use super::layout::{
    indent, is_blank, is_comment, line_start, newline, next_line, skip_trivia, splice,
};

/// Adds an element to an array, on a line of its own if the last one has one.
pub(super) fn add_element(text: &str, array: &Array, element: &str) -> Option<String> {
    let Some(last) = array.iter().last() else {
        let open = array.span()?.start + 1;
        return Some(splice(text, open..open, element));
    };
    let last = last.span()?;
    let Some(lines) = own_lines(text, &last) else {
        return Some(splice(text, last.end..last.end, &format!(", {element}")));
    };
    let comma = skip_trivia(text, last.end);
    let has_comma = text[comma..].starts_with(',');
    let line = format!("{}{element}", indent(text, last.start));
    let line = format!("{line}{}{}", if has_comma { "," } else { "" }, newline(text));
    let new = splice(text, lines.end..lines.end, &line);
    Some(if has_comma { new } else { splice(&new, last.end..last.end, ",") })
}

/// Removes an element and its comma from an array, with its line if it has one of its own.
pub(super) fn remove_element(text: &str, array: &Array, at: usize) -> Option<String> {
    let span = array.get(at)?.span()?;
    if let Some(lines) = own_lines(text, &span) {
        return Some(splice(text, lines, ""));
    }
    let start_of = |at: usize| array.get(at).and_then(Value::span).map(|span| span.start);
    let range = match (at.checked_sub(1), start_of(at + 1)) {
        (_, Some(next)) => span.start..next,
        (Some(previous), None) => array.get(previous)?.span()?.end..span.end,
        (None, None) => {
            let comma = skip_trivia(text, span.end);
            span.start..if text[comma..].starts_with(',') { comma + 1 } else { span.end }
        }
    };
    let outside = [&text[range.start..span.start.max(range.start)], &text[span.end..range.end]];
    // A comment between the elements would go as well.
    if outside.iter().any(|text| text.contains('#')) {
        return None;
    }
    Some(splice(text, range, ""))
}

/// The whole lines of an array's element, its comma and comment included, if nothing else is there.
fn own_lines(text: &str, element: &Range<usize>) -> Option<Range<usize>> {
    let start = line_start(text, element.start);
    let end = next_line(text, element.end);
    let rest = text[element.end..end].trim_start();
    let rest = rest.strip_prefix(',').unwrap_or(rest).trim();
    let alone = is_blank(&text[start..element.start]) && (rest.is_empty() || is_comment(rest));
    alone.then_some(start..end)
}
