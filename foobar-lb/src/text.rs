//! Small help with words.
#![forbid(unsafe_code)]

/// `1 service`, `2 services`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
