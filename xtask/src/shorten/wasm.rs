//! The wasm made shorter.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, ImportSection, Module};
use wasmparser::{DataKind, FunctionBody, Operator, Parser, Payload, TypeRef};

/// The module with its imports renamed, without places of panics and sections for debuggers, and with its functions in an
/// order that compresses well.
pub(super) fn shorten(mut wasm: Vec<u8>, names: &HashMap<String, String>) -> Result<Vec<u8>> {
    drop_places(&mut wasm)?;
    let mut short = Module::new();
    Shorten { names, order: Order::new(&wasm)? }
        .parse_core_module(&mut short, Parser::new(0), &wasm)
        .context("cannot rewrite the wasm")?;
    Ok(short.finish())
}

/// A short name for each import.
pub(super) fn short_names(wasm: &[u8]) -> Result<HashMap<String, String>> {
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

/// Zeros in place of the columns in `core::panic::Location`s (a file name's address and length, line, column), and of
/// all but the address where the file is another crate's. Such a name is absolute; it goes too.
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
            let name = from..from + length as usize;
            (range.contains(&from) && name.end <= range.end).then_some(name)
        });
        name.filter(|name| wasm[name.clone()].ends_with(b".rs") && wasm[name.clone()].is_ascii())
    };
    let mut foreign = Vec::new();
    for (start, range) in &segments {
        let aligned = range.start + start.next_multiple_of(4).wrapping_sub(*start) as usize;
        for at in (aligned..range.end.saturating_sub(15)).step_by(4) {
            let word = |i: usize| wasm[at + 4 * i..at + 4 * i + 4].try_into().map_or(0, u32::from_le_bytes);
            let [address, length, line, column] = [word(0), word(1), word(2), word(3)];
            if (4..1 << 8).contains(&length) && (1..1 << 17).contains(&line) && column < 1 << 12 {
                let Some(name) = file(wasm, address, length) else { continue };
                if wasm[name.start] == b'/' {
                    wasm[at + 4..at + 16].fill(0);
                    foreign.push(name);
                } else {
                    wasm[at + 12..at + 16].fill(0);
                }
            }
        }
    }
    // Only now, since one name serves many places.
    for name in foreign {
        wasm[name].fill(0);
    }
    Ok(())
}

/// Another order of a module's own functions.
struct Order {
    /// Functions that are imported, which stay where they are.
    imported: u32,
    /// The old number of each, in the new order.
    old: Vec<usize>,
    /// The new number of each, in the old order.
    new: Vec<u32>,
}

impl Order {
    /// Bytes of a function that is like no other.
    const LARGE: usize = 2000;

    /// Those of one type next to each other, by size: what gzip has in its window is then alike. This alone saves
    /// 2%.
    fn new(wasm: &[u8]) -> Result<Order> {
        let mut imported = 0;
        let mut types = Vec::new();
        let mut sizes = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
                }
                Payload::CodeSectionEntry(body) => sizes.push(body.as_bytes().len()),
                _ => {}
            }
        }
        let mut old: Vec<usize> = (0..sizes.len()).collect();
        old.sort_by_key(|&i| (sizes[i] > Order::LARGE, types[i], sizes[i]));
        let mut new = vec![0; old.len()];
        for (number, &i) in (imported..).zip(&old) {
            new[i] = number;
        }
        Ok(Order { imported, old, new })
    }
}

struct Shorten<'a> {
    names: &'a HashMap<String, String>,
    order: Order,
}

impl Reencode for Shorten<'_> {
    type Error = Infallible;

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        for import in section.into_imports() {
            let import = import?;
            let name = self.names.get(import.name).map_or(import.name, String::as_str);
            imports.import(import.module, name, self.entity_type(import.ty)?);
        }
        Ok(())
    }

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        let own = function.checked_sub(self.order.imported);
        Ok(own.map_or(function, |own| self.order.new[own as usize]))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for &i in &self.order.old {
            functions.function(types[i]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies = section.into_iter().collect::<Result<Vec<FunctionBody<'_>>, _>>()?;
        for i in self.order.old.clone() {
            self.parse_function_body(code, bodies[i].clone())?;
        }
        Ok(())
    }

    /// Names of functions and of tools, which no browser needs.
    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}
