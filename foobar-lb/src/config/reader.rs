//! Reads one table of the file by the keys of its section, and collects what is wrong instead of
//! stopping at the first error.
//!
//! A reading function returns `None` only after it reported a problem.
#![forbid(unsafe_code)]

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    diagnostic::{Fault, Problems},
    keys::SECTIONS,
    schema::{Fallback, Key, Kind, Section},
    suggest::{all, either, near},
    words::Word,
};

/// A value and where it stands; a default stands at its section's header.
#[derive(Clone, Debug)]
pub(super) struct Field<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table of the file.
#[derive(Debug)]
pub(super) struct Fields<'t, 'i> {
    section: &'static Section,
    table: &'t DeTable<'i>,
    span: Range<usize>,
    /// Absent keys that an unknown key was taken for: that was reported, their absence need not be.
    mistyped: Vec<&'static str>,
}

impl<'t, 'i> Fields<'t, 'i> {
    /// Reports every key that the section does not have.
    pub(super) fn open(
        section: &'static Section,
        table: &'t DeTable<'i>,
        span: Range<usize>,
        problems: &mut Problems<'_>,
    ) -> Self {
        let mut fields = Self { section, table, span, mistyped: Vec::new() };
        for key in table.keys() {
            if !section.keys.iter().any(|known| known.name == key.get_ref()) {
                let fault = fields.unknown(key.get_ref());
                problems.push(key.span(), fault);
            }
        }
        fields
    }

    /// The header, or the whole of an inline table.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The place of a key's value, if it is there.
    pub(super) fn given(&self, key: &Key) -> Option<Range<usize>> {
        self.value(key).map(Spanned::span)
    }

    /// A flag.
    pub(super) fn flag(&self, key: &'static Key, problems: &mut Problems<'_>) -> Option<bool> {
        match (self.value(key).map(|v| (v.span(), v.get_ref())), key.fallback) {
            (Some((_, DeValue::Boolean(flag))), _) => Some(*flag),
            (None, Fallback::Flag(flag)) => Some(flag),
            (found, _) => self.refuse(key, found, problems),
        }
    }

    /// An integer within the key's range, or its default.
    pub(super) fn integer<T: TryFrom<u64>>(
        &self,
        key: &'static Key,
        problems: &mut Problems<'_>,
    ) -> Option<Field<T>> {
        self.integer_if_given(key, problems)?.or_else(|| match key.fallback {
            Fallback::Integer(n) => self.default(T::try_from(n).ok()?),
            _ => self.refuse(key, None, problems),
        })
    }

    /// An integer within the key's range; `Some(None)` if the key is absent.
    pub(super) fn integer_if_given<T: TryFrom<u64>>(
        &self,
        key: &'static Key,
        problems: &mut Problems<'_>,
    ) -> Option<Option<Field<T>>> {
        let Some(found) = self.value(key) else {
            return Some(None);
        };
        let span = found.span();
        let (DeValue::Integer(n), Kind::Integer { min, max }) = (found.get_ref(), key.kind) else {
            return self.refuse(key, Some((span, found.get_ref())), problems);
        };
        let value = u64::from_str_radix(n.as_str(), n.radix())
            .ok()
            .filter(|n| (min..=max).contains(n))
            .and_then(|n| T::try_from(n).ok());
        match value {
            Some(value) => Some(Some(Field { value, span })),
            None => {
                let message = format!("{n} is out of range for `{}`", key.name);
                problems
                    .push(span, Fault::new(message, format!("write a number from {min} to {max}")));
                None
            }
        }
    }

    /// One of the words of a type, or the key's default.
    pub(super) fn word<W: Word>(
        &self,
        key: &'static Key,
        problems: &mut Problems<'_>,
    ) -> Option<Field<W>> {
        self.text(key, |text| word(key, text), problems)
    }

    /// A string that a rule accepts, or the key's default.
    pub(super) fn text<T>(
        &self,
        key: &'static Key,
        rule: impl Fn(&str) -> Result<T, Fault>,
        problems: &mut Problems<'_>,
    ) -> Option<Field<T>> {
        self.text_if_given(key, &rule, problems)?.or_else(|| match key.fallback {
            Fallback::Text(text) => self.default(rule(text).ok()?),
            _ => self.refuse(key, None, problems),
        })
    }

    /// A string that a rule accepts; `Some(None)` if the key is absent.
    pub(super) fn text_if_given<T>(
        &self,
        key: &'static Key,
        rule: impl Fn(&str) -> Result<T, Fault>,
        problems: &mut Problems<'_>,
    ) -> Option<Option<Field<T>>> {
        let Some(found) = self.value(key) else {
            return Some(None);
        };
        let span = found.span();
        let DeValue::String(text) = found.get_ref() else {
            return self.refuse(key, Some((span, found.get_ref())), problems);
        };
        match rule(text) {
            Ok(value) => Some(Some(Field { value, span })),
            Err(fault) => {
                problems.push(span, fault);
                None
            }
        }
    }

    /// A table below this one; `None` also if it is absent.
    pub(super) fn table(
        &self,
        key: &'static Key,
        problems: &mut Problems<'_>,
    ) -> Option<Fields<'t, 'i>> {
        let found = self.value(key)?;
        match (found.get_ref(), key.kind) {
            (DeValue::Table(table), Kind::Table(section)) => {
                Some(Self::open(section, table, found.span(), problems))
            }
            (value, _) => self.refuse(key, Some((found.span(), value)), problems),
        }
    }

    /// The tables of an array below this one. A single table is reported, and read all the same.
    pub(super) fn tables(
        &self,
        key: &'static Key,
        problems: &mut Problems<'_>,
    ) -> Vec<Fields<'t, 'i>> {
        let (Some(found), Kind::Tables(section)) = (self.value(key), key.kind) else {
            return Vec::new();
        };
        let elements = match found.get_ref() {
            DeValue::Array(elements) => &elements[..],
            other => {
                let _reported: Option<()> = self.refuse(key, Some((found.span(), other)), problems);
                std::slice::from_ref(found)
            }
        };
        let is_array = found.get_ref().is_array();
        let mut opened = Vec::new();
        for element in elements {
            match element.get_ref() {
                DeValue::Table(table) => {
                    opened.push(Self::open(section, table, element.span(), problems));
                }
                other if is_array => {
                    let _reported: Option<()> =
                        self.refuse(key, Some((element.span(), other)), problems);
                }
                _ => {}
            }
        }
        opened
    }

    fn value(&self, key: &Key) -> Option<&'t Spanned<DeValue<'i>>> {
        self.table.get(key.name)
    }

    fn default<T>(&self, value: T) -> Option<Field<T>> {
        Some(Field { value, span: self.span() })
    }

    /// Reports that a key is missing, or that what was found is of the wrong type.
    fn refuse<T>(
        &self,
        key: &Key,
        found: Option<(Range<usize>, &DeValue<'_>)>,
        problems: &mut Problems<'_>,
    ) -> Option<T> {
        match found {
            Some((span, value)) => problems.push(span, wrong_type(key, value)),
            None if self.mistyped.contains(&key.name) => {}
            None => {
                let message = format!("`{}` is missing {}", key.name, self.section.place());
                let cure = format!("add `{} = {}`", key.name, key.example);
                problems.push(self.span(), Fault::new(message, cure));
            }
        }
        None
    }

    /// A key that the section does not have: mistyped, another tool's word, or misplaced.
    fn unknown(&mut self, name: &str) -> Fault {
        let keys = self.section.keys;
        let message = format!("there is no key `{name}` {}", self.section.place());
        let absent = || keys.iter().filter(|key| self.value(key).is_none());
        let alias = absent().find(|key| key.aliases.contains(&name)).map(|key| key.name);
        let elsewhere = misplaced(name);
        let meant = match (alias, &elsewhere) {
            (None, None) => near(name, absent().map(|key| key.name)),
            _ => alias,
        };
        let cure = match (meant, elsewhere) {
            (Some(meant), _) => {
                self.mistyped.push(meant);
                format!("did you mean `{meant}`?")
            }
            (None, Some(elsewhere)) => elsewhere,
            (None, None) => {
                let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
                format!("the keys are {}", all(&names))
            }
        };
        Fault::new(message, cure)
    }
}

/// Where a key belongs that stands in the wrong section.
fn misplaced(name: &str) -> Option<String> {
    let homes = || SECTIONS.iter().filter(|s| s.keys.iter().any(|key| key.name == name));
    let key = homes().flat_map(|s| s.keys).find(|key| key.name == name)?;
    if let Kind::Table(section) | Kind::Tables(section) = key.kind {
        return Some(format!("write it as `{}`", section.header));
    }
    let places: Vec<&str> = homes().map(|section| section.header).collect();
    Some(format!(
        "it belongs in {}; a key belongs to the header above it",
        either(&places).replace('`', "")
    ))
}

/// A value of the wrong type, with the right way of writing it if that can be told.
fn wrong_type(key: &Key, value: &DeValue<'_>) -> Fault {
    let (wanted, example) = match key.kind {
        Kind::Flag => ("`true` or `false`", key.example),
        Kind::Integer { .. } => ("a number", key.example),
        Kind::Word(_) | Kind::Text(_) => ("a string", key.example),
        Kind::Table(section) | Kind::Tables(section) => ("a table", section.header),
    };
    let found = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a single table",
    };
    let name = key.name;
    let cure = match (key.kind, value) {
        (Kind::Tables(_), DeValue::Table(_)) => {
            format!("there can be several: write `{example}`, with two brackets")
        }
        (Kind::Table(_), DeValue::Array(_)) => {
            format!("there can be only one: write `{example}`, with one bracket")
        }
        (Kind::Table(_) | Kind::Tables(_), _) => format!("write `{example}` on a line of its own"),
        (Kind::Integer { .. }, DeValue::String(text)) if text.parse::<u64>().is_ok() => {
            format!("write it without quotes: `{name} = {text}`")
        }
        (Kind::Flag, DeValue::String(text)) if text.parse::<bool>().is_ok() => {
            format!("write it without quotes: `{name} = {text}`")
        }
        (Kind::Text(_), DeValue::Integer(n)) if n.radix() == 10 => {
            format!("write it in quotes: `{name} = \"{n}\"`")
        }
        _ => format!("write it like `{name} = {example}`"),
    };
    let wanted = if matches!(key.kind, Kind::Tables(_)) { "an array of tables" } else { wanted };
    Fault::new(format!("`{name}` must be {wanted}, and this is {found}"), cure)
}

fn word<W: Word>(key: &Key, text: &str) -> Result<W, Fault> {
    let words: Vec<String> = W::ALL.iter().map(W::to_string).collect();
    if let Some(at) = words.iter().position(|word| word == text) {
        return Ok(W::ALL[at]);
    }
    let alias = W::ALIASES.iter().find(|(theirs, _)| *theirs == text).map(|(_, ours)| *ours);
    let known = format!("this version knows {}", all(&words));
    let cure = match alias.or_else(|| near(text, words.iter().map(String::as_str))) {
        Some(meant) => format!("did you mean `\"{meant}\"`? {known}"),
        None => known,
    };
    Err(Fault::new(format!("`{text}` is not a value of `{}`", key.name), cure))
}
