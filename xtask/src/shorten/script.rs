//! JavaScript made shorter.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// A short name for each of the script's functions, and for what wasm-bindgen calls its arguments and locals, as far
/// as they are no property's name.
pub(super) fn short_names(script: &str) -> HashMap<String, String> {
    let all: HashSet<&str> = words(script).collect();
    let functions =
        script.lines().filter_map(|line| line.trim().strip_prefix("function ")?.split('(').next());
    let numbered = |word: &str| {
        let stem = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        stem.len() < word.len() && ["arg", "ptr", "len", "deferred"].contains(&stem)
    };
    let locals = all.iter().copied().filter(|word| *word == "ret" || numbered(word));
    let mut own: Vec<&str> = functions.filter(|name| name.len() > 6).chain(locals).collect();
    own.retain(|name| !script.contains(&format!(".{name}")));
    // The most frequent first, in an order that does not change from one build to the next.
    own.sort_by_cached_key(|name| (Reverse(words(script).filter(|word| word == name).count()), *name));
    own.dedup();
    let letters = || ('A'..='Z').map(String::from);
    let pairs = letters().flat_map(|first| letters().map(move |second| first.clone() + &second));
    let free = letters().chain(pairs).filter(|name| !all.contains(name.as_str()));
    own.into_iter().map(String::from).zip(free).collect()
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// Identifiers, and whatever looks like one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_part(c)).filter(|word| !word.is_empty())
}

/// The script without whole lines of comments and without indentation, its words renamed.
pub(super) fn shorten(text: &str, names: &HashMap<String, String>) -> String {
    let mut short = String::with_capacity(text.len());
    let mut in_comment = false;
    for line in text.lines().map(str::trim) {
        in_comment |= line.starts_with("/*");
        if !in_comment && !line.starts_with("//") && !line.is_empty() {
            let line = without_spaces(line);
            let mut rest = line.as_str();
            while let Some(start) = rest.find(is_part) {
                let length = rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start);
                let word = &rest[start..start + length];
                short.push_str(&rest[..start]);
                short.push_str(names.get(word).map_or(word, String::as_str));
                rest = &rest[start + length..];
            }
            short.push_str(rest);
            short.push('\n');
        }
        in_comment &= !line.ends_with("*/");
    }
    short
}

/// A line without the spaces around its operators, as far as it has no text or pattern in which they count.
fn without_spaces(line: &str) -> String {
    if line.contains(['\'', '"', '`', '/']) {
        return line.into();
    }
    let is_word = |c: Option<char>| c.is_some_and(is_part);
    let mut short = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let (before, after) = (short.chars().next_back(), letters.peek().copied());
        // Two words, or two signs that would become another.
        let apart = is_word(before) && is_word(after) || before == after;
        if letter != ' ' || apart {
            short.push(letter);
        }
    }
    short
}
