//! Sizes that come from the data: in the networks of a recipe, `"data"` in the place of a size stands
//! for the number of values of one sample.

use super::RecipeError;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// How such a size is written.
const DATA: &str = "data";

/// The sections that may hold one.
const SECTIONS: [&str; 3] = ["energy", "generator", "encoder"];

/// The recipe `text` with `values` for each size that comes from the data. What is no TOML stays as it
/// is: the reader has the words for it.
pub(super) fn fill(text: &str, values: Option<usize>) -> Result<String, RecipeError> {
    let mut filled = text.to_string();
    // From the end, so that the places before stay where they are.
    for place in places(text).into_iter().rev() {
        let Some(values) = values else {
            let message = "the sizes \"data\" are those of the samples: name a .npy or .csv file of vectors \
                           with `train --data`";
            return Err(RecipeError::Text { line: line(text, place.start), message: message.into() });
        };
        filled.replace_range(place, &values.to_string());
    }
    Ok(filled)
}

/// Where sizes come from the data, in order.
pub(super) fn places(text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    if let Ok(recipe) = DeTable::parse(text) {
        for (key, value) in recipe.get_ref().iter() {
            if SECTIONS.contains(&key.get_ref().as_ref()) {
                collect(value.get_ref(), value.span(), &mut places);
            }
        }
    }
    places.sort_by_key(|place| place.start);
    places
}

fn collect(value: &DeValue, span: Range<usize>, places: &mut Vec<Range<usize>>) {
    match value {
        DeValue::String(text) if text == DATA => places.push(span),
        DeValue::Array(array) => array.iter().for_each(|v| collect(v.get_ref(), v.span(), places)),
        DeValue::Table(table) => table.iter().for_each(|(_, v)| collect(v.get_ref(), v.span(), places)),
        _ => {}
    }
}

/// The line of a place in `text`, from 1.
pub(super) fn line(text: &str, place: usize) -> usize {
    text.as_bytes()[..place.min(text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1
}
