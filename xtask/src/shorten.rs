//! The page's files made shorter. wasm-bindgen gives every function that the wasm imports a long name with a hash,
//! in the wasm and again in the JavaScript: 5% of what a visitor waits for, and nothing compresses it. Nor the
//! places in the source that panics name.

use anyhow::{Context, Result};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs;
use std::ops::Range;
use std::path::Path;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{ImportSection, Module};
use wasmparser::{DataKind, Operator, Parser, Payload};

/// Shorten the names of imports in a page's wasm and its JavaScript, and drop places of panics from the former and comments from
/// all of the latter.
///
/// # Errors
/// If a file cannot be read or written, or the wasm is none.
pub fn shorten(page: &Path) -> Result<()> {
    let (script, module) = (page.join("dual-mcmc-web.js"), page.join("dual-mcmc-web_bg.wasm"));
    let read = |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    let mut wasm = read(&module)?;
    drop_places(&mut wasm)?;
    let names = short_names(&wasm)?;
    let mut short = Module::new();
    Shorten(&names)
        .parse_core_module(&mut short, Parser::new(0), &wasm)
        .with_context(|| format!("cannot rewrite {}", module.display()))?;
    let text = |file: &Path| String::from_utf8(read(file)?).context("JavaScript in UTF-8");
    let script_text = text(&script)?;
    let mut words = names.clone();
    words.extend(own_names(&script_text));
    let write = |file: &Path, bytes: &[u8]| {
        fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
    };
    write(&module, &short.finish())?;
    write(&script, shorten_script(&script_text, &words).as_bytes())?;
    for own in OWN {
        let file = page.join(own);
        write(&file, shorten_script(&text(&file)?, &HashMap::new()).as_bytes())?;
    }
    Ok(())
}

/// The page's own scripts.
const OWN: [&str; 2] = ["worker.js", "subgroups.js"];

/// Zeros in place of the columns in `core::panic::Location`s (a file name's address and length, line, column), and of
/// the lines in files of other crates, whose names are absolute.
fn drop_places(wasm: &mut [u8]) -> Result<()> {
    let mut segments: Vec<(u32, Range<usize>)> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::DataSection(data) = payload? else { continue };
        for segment in data {
            let segment = segment?;
            if let DataKind::Active { offset_expr, .. } = segment.kind
                && let Operator::I32Const { value } = offset_expr.get_operators_reader().read()?
            {
                let end = segment.range.end as usize;
                segments.push((value as u32, end - segment.data.len()..end));
            }
        }
    }
    let file = |wasm: &[u8], address: u32, length: u32| {
        let name = segments.iter().find_map(|(start, range)| {
            let from = range.start + address.checked_sub(*start)? as usize;
            range.contains(&from).then(|| wasm.get(from..from + length as usize))?
        });
        name.filter(|name| name.ends_with(b".rs") && name.is_ascii()).map(|name| name.starts_with(b"/"))
    };
    for (start, range) in &segments {
        let aligned = range.start + start.next_multiple_of(4).wrapping_sub(*start) as usize;
        for at in (aligned..range.end.saturating_sub(15)).step_by(4) {
            let word = |i: usize| wasm[at + 4 * i..at + 4 * i + 4].try_into().map_or(0, u32::from_le_bytes);
            let [address, length, line, column] = [word(0), word(1), word(2), word(3)];
            if (4..1 << 8).contains(&length) && (1..1 << 17).contains(&line) && column < 1 << 12 {
                match file(wasm, address, length) {
                    Some(true) => wasm[at + 8..at + 16].fill(0),
                    Some(false) => wasm[at + 12..at + 16].fill(0),
                    None => {}
                }
            }
        }
    }
    Ok(())
}

/// A short name for each import.
fn short_names(wasm: &[u8]) -> Result<HashMap<String, String>> {
    let mut names = HashMap::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                let count = names.len();
                names.entry(import?.name.to_owned()).or_insert_with(|| format!("i{count:x}"));
            }
        }
    }
    Ok(names)
}

/// A short name for each of the script's functions, and for what wasm-bindgen calls its arguments and locals, as far
/// as they are no property's name.
fn own_names(script: &str) -> HashMap<String, String> {
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

struct Shorten<'a>(&'a HashMap<String, String>);

impl Reencode for Shorten<'_> {
    type Error = Infallible;

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for import in section.into_imports() {
            let import = import?;
            let name = self.0.get(import.name).map_or(import.name, String::as_str);
            imports.import(import.module, name, self.entity_type(import.ty)?);
        }
        Ok(())
    }
}

/// The script without whole lines of comments and without indentation, its words renamed.
fn shorten_script(text: &str, names: &HashMap<String, String>) -> String {
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
