//! What is wrong with a configuration file, where, and what to do about it.
//!
//! Every error has a place, a message and a cure. Only [`ConfigErrors`] renders them, so that the
//! CLI, the log and the API show the same words.
#![forbid(unsafe_code)]

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// Errors that are shown with their source; more than these are only counted.
const SHOWN: usize = 20;

/// One error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub cure: String,
    /// The offending text, in bytes of the file.
    #[serde(skip)]
    span: Range<usize>,
    /// Another place that the message is about, and what it is.
    #[serde(skip)]
    related: Option<(Range<usize>, String)>,
}

impl fmt::Display for Diagnostic {
    /// `LINE:COLUMN: message (cure)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.line, self.column, self.message, self.cure)
    }
}

/// An error that has no place yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) cure: String,
}

impl Fault {
    /// Both may quote the file; what could steer a terminal is replaced.
    pub(super) fn new(message: impl Into<String>, cure: impl Into<String>) -> Self {
        let harmless = |text: String| text.replace(char::is_control, "\u{fffd}");
        Self { message: harmless(message.into()), cure: harmless(cure.into()) }
    }
}

/// Collects the errors of one text while it is read.
#[derive(Debug)]
pub(super) struct Problems<'a> {
    text: &'a str,
    list: Vec<Problem>,
}

/// An error whose line and column are not counted yet.
#[derive(Debug)]
struct Problem {
    span: Range<usize>,
    fault: Fault,
    related: Option<(Range<usize>, String)>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, list: Vec::new() }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `span` is in bytes of the text.
    pub(super) fn push(&mut self, span: Range<usize>, fault: Fault) {
        self.list.push(Problem { span, fault, related: None });
    }

    /// Underlines a second place as well, with a few words on what it is.
    pub(super) fn push_related(
        &mut self,
        span: Range<usize>,
        fault: Fault,
        (other, label): (Range<usize>, &str),
    ) {
        let related = Some((other, label.to_owned()));
        self.list.push(Problem { span, fault, related });
    }

    /// The errors in the file's order.
    pub(super) fn into_errors(mut self, file_name: &str) -> ConfigErrors {
        self.list.sort_by_key(|problem| (problem.span.start, problem.span.end));
        // Lines are counted once for all errors, not from the top for each.
        let (mut line, mut counted) = (1, 0);
        let errors = self.list.into_iter().map(|problem| {
            let Problem { span, fault, related } = problem;
            line += self.text[counted..span.start].matches('\n').count();
            counted = span.start;
            Diagnostic {
                line,
                column: column(self.text, span.start),
                message: fault.message,
                cure: fault.cure,
                span,
                related,
            }
        });
        ConfigErrors {
            file: file_name.to_owned(),
            errors: errors.collect(),
            text: self.text.to_owned(),
        }
    }
}

/// Everything that is wrong with one configuration file: one error at least.
///
/// `Display` shows each with its source, without colour; [`render`](Self::render) with colour if
/// wanted; [`summary`](Self::summary) is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct ConfigErrors {
    /// The file, as the caller named it.
    pub file: String,
    /// In the file's order.
    pub errors: Vec<Diagnostic>,
    text: String,
}

impl ConfigErrors {
    /// Every error with its source, the offending text underlined, and the cure.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut blocks: Vec<String> = self
            .errors
            .iter()
            .take(SHOWN)
            .map(|error| renderer.render(&[self.group(error)]))
            .collect();
        if self.errors.len() > SHOWN {
            blocks.push(format!("and {} more", self.errors.len() - SHOWN));
        }
        if self.errors.len() > 1 {
            blocks.push(format!("{}: {} errors", self.file, self.errors.len()));
        }
        blocks.join("\n\n")
    }

    /// One line: `FILE:LINE:COLUMN: message (cure)` of the first error, and how many more.
    pub fn summary(&self) -> String {
        let first = self.lines().next().unwrap_or_else(|| self.file.clone());
        match self.errors.len() {
            0 | 1 => first,
            2 => format!("{first}; and 1 more error"),
            n => format!("{first}; and {} more errors", n - 1),
        }
    }

    /// One line for each error: `FILE:LINE:COLUMN: message (cure)`.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.errors.iter().map(|error| format!("{}:{error}", self.file))
    }

    /// One error for the renderer, which gets only the lines between the places it is about: it
    /// would copy a large file for every error otherwise.
    fn group<'a>(&'a self, error: &'a Diagnostic) -> Group<'a> {
        let related = error.related.as_ref();
        let first = related.map_or(error.span.start, |(span, _)| span.start.min(error.span.start));
        let last = related.map_or(error.span.end, |(span, _)| span.end.max(error.span.end));
        let start = self.text[..first].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[last..].find('\n').map_or(self.text.len(), |at| last + at);
        let end = start + self.text[start..end].trim_end_matches('\r').len();
        let end = end.max(last);
        let within = |span: &Range<usize>| span.start - start..span.end - start;

        let mut snippet = Snippet::source(&self.text[start..end])
            .path(self.file.as_str())
            .line_start(position(&self.text, start).0)
            .annotation(AnnotationKind::Primary.span(within(&error.span)));
        if let Some((span, label)) = related {
            let label = label.as_str();
            snippet = snippet.annotation(AnnotationKind::Context.span(within(span)).label(label));
        }
        Level::ERROR
            .primary_title(error.message.as_str())
            .element(snippet)
            .element(Level::HELP.message(error.cure.as_str()))
    }
}

/// Line and column (in characters) of a byte at the beginning of a character, both from 1.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    (text[..byte].matches('\n').count() + 1, column(text, byte))
}

fn column(text: &str, byte: usize) -> usize {
    let line_start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    text[line_start..byte].chars().count() + 1
}
