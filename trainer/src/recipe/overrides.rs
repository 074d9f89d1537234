//! `--set a.b=VALUE`: overrides by dotted keys.

use super::RecipeError;
use toml::{Table, Value};

/// Set `key` in `table`. Tables that are missing on the way are made; the reader refuses them
/// later if it does not know them.
pub fn set(table: &mut Table, key: &str, text: &str) -> Result<(), RecipeError> {
    let error = |reason: String| RecipeError::Override { key: key.into(), reason };
    let parts: Vec<&str> = key.split('.').collect();
    if parts.iter().any(|p| p.is_empty()) {
        return Err(error("the key has an empty part; write it as section.key=VALUE".into()));
    }
    let (first, rest) = (parts[0], &parts[1..]);
    if rest.is_empty() {
        table.insert(first.into(), value(text));
        return Ok(());
    }
    let mut place = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
    for (depth, part) in rest.iter().enumerate() {
        let path = parts[..=depth].join(".");
        place = match place {
            Value::Table(table) => table.entry(*part).or_insert_with(|| Value::Table(Table::new())),
            Value::Array(array) => {
                let len = array.len();
                let index = part.parse::<usize>().ok();
                index.and_then(|i| array.get_mut(i)).ok_or_else(|| {
                    error(format!("{path} has {len} elements, numbered from 0; `{part}` is none of them"))
                })?
            }
            _ => return Err(error(format!("{path} is a value, not a section"))),
        };
    }
    *place = value(text);
    Ok(())
}

/// A TOML value, or else the text itself as a string.
fn value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>();
    match parsed.ok().filter(|t| t.len() == 1).and_then(|mut t| t.remove("value")) {
        Some(value) => value,
        None => Value::String(text.into()),
    }
}
