//! The page's files made shorter. wasm-bindgen gives every function that the wasm imports a long name with a hash,
//! in the wasm and again in the JavaScript: 5% of what a visitor waits for, and nothing compresses it. Nor the
//! places in the source that panics name, nor the sections for debuggers that wasm-bindgen adds.

mod script;
mod wasm;

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The page's own scripts.
const OWN: [&str; 2] = ["worker.js", "subgroups.js"];

/// Shorten a page's wasm and all of its JavaScript.
///
/// # Errors
/// If a file cannot be read or written, or the wasm is none.
pub fn shorten(page: &Path) -> Result<()> {
    let read = |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    let text = |file: &Path| String::from_utf8(read(file)?).context("JavaScript in UTF-8");
    let write = |file: &Path, bytes: &[u8]| {
        fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
    };
    let (bindings, module) = (page.join("dual-mcmc-web.js"), page.join("dual-mcmc-web_bg.wasm"));
    let (bindings_text, wasm) = (text(&bindings)?, read(&module)?);
    let imports = wasm::short_names(&wasm)?;
    let mut words = imports.clone();
    words.extend(script::short_names(&bindings_text));
    write(&module, &wasm::shorten(wasm, &imports)?)?;
    write(&bindings, script::shorten(&bindings_text, &words).as_bytes())?;
    for own in OWN {
        let file = page.join(own);
        write(&file, script::shorten(&text(&file)?, &HashMap::new()).as_bytes())?;
    }
    Ok(())
}
