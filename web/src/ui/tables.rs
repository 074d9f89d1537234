//! Tables of numbers, as HTML.

use super::Refs;
use crate::dom;
use crate::numbers::Table;
use web_sys::{Element, HtmlElement};

/// Put tables in the place for them.
pub fn fill(refs: &Refs, tables: &[Table]) {
    let Some(place) = refs.find::<HtmlElement>("number-tables") else { return };
    place.set_text_content(None);
    for table in tables {
        let Some(element) = dom::create::<Element>("table") else { continue };
        add(&element, "caption", &table.caption);
        row(&element, "thead", &table.head, |_| ("th", "col"));
        for cells in &table.rows {
            row(&element, "tbody", cells, |column| if column == 0 { ("th", "row") } else { ("td", "") });
        }
        let _ = place.append_child(&element);
    }
}

/// Add a row to a part of a table, which is made where it is not the last one.
fn row(table: &Element, part: &str, cells: &[String], cell: impl Fn(usize) -> (&'static str, &'static str)) {
    let last = table.last_element_child().filter(|last| last.local_name() == part);
    let Some(part) = last.or_else(|| add(table, part, "")) else { return };
    let Some(row) = add(&part, "tr", "") else { return };
    for (column, text) in cells.iter().enumerate() {
        let (tag, scope) = cell(column);
        if let Some(element) = add(&row, tag, text).filter(|_| !scope.is_empty()) {
            let _ = element.set_attribute("scope", scope);
        }
    }
}

fn add(parent: &Element, tag: &str, text: &str) -> Option<Element> {
    let element: Element = dom::create(tag)?;
    element.set_text_content(Some(text));
    parent.append_child(&element).ok()?;
    Some(element)
}
