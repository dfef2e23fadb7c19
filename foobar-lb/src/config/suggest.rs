//! What a mistyped word was probably meant to be. Suggests only; never accepts a near miss.
#![forbid(unsafe_code)]

/// The candidate that `word` was probably meant to be; `None` if nothing is close.
///
/// Close is: equal but for case, one the beginning of the other (three letters at least), or within
/// one edit for every three letters, where swapping two neighbours is one edit.
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let edits = distance(&word, &candidate.to_lowercase());
            let allowed = (length.max(candidate.chars().count()) / 3).clamp(1, 3);
            let extends = length >= 3
                && candidate.len() >= 3
                && (candidate.starts_with(&word) || word.starts_with(candidate));
            (edits <= allowed && edits < length || extends).then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// "`a`", "`a` or `b`", "`a`, `b` or `c`".
pub(super) fn either<S: AsRef<str>>(words: &[S]) -> String {
    list(words, "or")
}

/// "`a`", "`a` and `b`", "`a`, `b` and `c`".
pub(super) fn all<S: AsRef<str>>(words: &[S]) -> String {
    list(words, "and")
}

fn list<S: AsRef<str>>(words: &[S], last_word: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{}`", w.as_ref())).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} {last_word} {last}", rest.join(", ")),
    }
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
///
/// Words longer than 64 characters count as far from everything: nothing here is that long, and
/// the cost is quadratic.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("adress", "address"), 1);
        assert_eq!(distance("naem", "name"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn nearest_word_or_none() {
        let keys = ["name", "address", "port", "protocol"];
        assert_eq!(near("adress", keys), Some("address"));
        assert_eq!(near("proto", keys), Some("protocol"));
        assert_eq!(near("PORT", keys), Some("port"));
        assert_eq!(near("colour", keys), None);
        assert_eq!(near("x", ["y"]), None);
    }

    #[test]
    fn lists_read_as_prose() {
        assert_eq!(either(&["a"]), "`a`");
        assert_eq!(either(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(all(&["a", "b"]), "`a` and `b`");
    }
}
