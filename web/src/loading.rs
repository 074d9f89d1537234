//! A model from an address or from a file, with its progress.

use crate::dom;
use crate::problem::{Problem, check_answer, check_beginning, no_answer};
use dual_mcmc::model::{MAX_FILE, Model, ModelError};
use js_sys::{ArrayBuffer, IteratorNext, Uint8Array};
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, ReadableStreamDefaultReader, RequestCache, RequestInit, Response, Url};

/// Where a model comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An address, relative to the page or absolute.
    Address(String),
    /// A file that the reader has opened. The number tells two openings of one file apart.
    File(File, u32),
}

impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Address(a), Source::Address(b)) => a == b,
            (Source::File(_, a), Source::File(_, b)) => a == b,
            _ => false,
        }
    }
}

impl Source {
    /// A short name for the page.
    pub fn name(&self) -> String {
        match self {
            Source::Address(url) => {
                let path = url.split(['?', '#']).next().unwrap_or(url);
                path.rsplit('/').next().unwrap_or(path).to_string()
            }
            Source::File(file, _) => file.name(),
        }
    }
}

/// How far a download is: bytes so far, and of how many where the server says so.
pub type Progress<'a> = &'a dyn Fn(f64, Option<f64>);

/// Load and check a model, and keep its file. `wanted` is asked between pieces; once it says no, loading ends with
/// `Ok(None)`.
///
/// # Errors
/// What is wrong with the address, the connection or the file.
pub async fn load(
    source: &Source,
    progress: Progress<'_>,
    wanted: &dyn Fn() -> bool,
) -> Result<Option<(Model, Uint8Array)>, Problem> {
    let bytes = match source {
        Source::Address(url) => fetch(url, progress, wanted).await?,
        Source::File(file, _) => Some(read(file).await?),
    };
    let Some(bytes) = bytes else { return Ok(None) };
    let name = source.name();
    check_beginning(&name, &bytes)?;
    let model = Model::from_bytes(&bytes).map_err(|error| {
        let advice = match error {
            ModelError::Container(_) => " It may be cut short or damaged: fetch it again.",
            _ => "",
        };
        let title = format!("“{name}” is not a model this page can run");
        Problem::new(title, format!("{}.{advice}", capitalised(&error.to_string())))
    })?;
    Ok(Some((model, Uint8Array::from(&bytes[..]))))
}

fn capitalised(text: &str) -> String {
    let mut text = text.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn too_large(name: &str) -> Problem {
    let limit = MAX_FILE >> 20;
    Problem::new(
        "The file is too large",
        format!("“{name}” holds more than the {limit} MiB that this page accepts."),
    )
}

async fn read(file: &File) -> Result<Vec<u8>, Problem> {
    if file.size() > MAX_FILE as f64 {
        return Err(too_large(&file.name()));
    }
    let unreadable =
        |error: JsValue| Problem::new(format!("“{}” cannot be read", file.name()), dom::reason(&error));
    let buffer = JsFuture::from(file.array_buffer()).await.map_err(unreadable)?;
    Ok(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec())
}

/// Whether an address lies on the page's own site.
fn same_site(url: &str) -> bool {
    let location = dom::window().location();
    let base = location.href().unwrap_or_default();
    match (Url::new_with_base(url, &base), location.origin()) {
        (Ok(url), Ok(origin)) => url.origin() == origin,
        _ => false,
    }
}

async fn fetch(
    url: &str,
    progress: Progress<'_>,
    wanted: &dyn Fn() -> bool,
) -> Result<Option<Vec<u8>>, Problem> {
    let no_answer = |_| no_answer(url, same_site(url));
    let response: Response =
        JsFuture::from(dom::window().fetch_with_str(url)).await.map_err(no_answer)?.unchecked_into();
    let header = |name| response.headers().get(name).ok().flatten();
    check_answer(url, response.status(), &header("content-type").unwrap_or_default())?;
    // The length is that of the transfer: of no use where the body is compressed.
    let total = match header("content-encoding") {
        None => header("content-length").and_then(|text| text.parse::<u32>().ok()).map(f64::from),
        Some(_) => None,
    };
    if total.is_some_and(|total| total > MAX_FILE as f64) {
        return Err(too_large(url));
    }
    let Some(body) = response.body() else { return Ok(Some(Vec::new())) };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    progress(0.0, total);
    loop {
        if !wanted() {
            let _ = reader.cancel();
            return Ok(None);
        }
        let piece = JsFuture::from(reader.read()).await.map_err(|error| {
            Problem::new(
                "The connection broke off",
                format!(
                    "{} of “{url}” had arrived ({}). Try again.",
                    crate::explain::bytes(bytes.len() as f64),
                    dom::reason(&error)
                ),
            )
        })?;
        let piece: IteratorNext = piece.unchecked_into();
        if piece.done() {
            break;
        }
        let piece: Uint8Array = piece.value().unchecked_into();
        if bytes.len() + piece.length() as usize > MAX_FILE {
            let _ = reader.cancel();
            return Err(too_large(url));
        }
        let start = bytes.len();
        bytes.resize(start + piece.length() as usize, 0);
        piece.copy_to(&mut bytes[start..]);
        progress(bytes.len() as f64, total);
    }
    Ok(Some(bytes))
}

/// A model in the list beside the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Address relative to the page.
    pub url: String,
    /// Name for the reader.
    pub title: String,
}

/// The models that `models/index.json` lists, or `None` if there is no list or it cannot be read.
pub async fn list() -> Option<Vec<Listed>> {
    let options = RequestInit::new();
    // A model that has just been trained is to turn up.
    options.set_cache(RequestCache::NoCache);
    let request = dom::window().fetch_with_str_and_init("models/index.json", &options);
    let response: Response = JsFuture::from(request).await.ok()?.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    let index: Index = serde_json::from_str(&text).ok()?;
    let entry =
        |Entry { file, title }: Entry| Listed { url: format!("models/{file}"), title: title.unwrap_or(file) };
    Some(index.models.into_iter().map(entry).collect())
}

/// The file `models/index.json`.
#[derive(Deserialize)]
struct Index {
    models: Vec<Entry>,
}

/// A model in it.
#[derive(Deserialize)]
struct Entry {
    file: String,
    title: Option<String>,
}
