//! A page's list of models, and models put beside it.
//!
//! `models/index.json` lists them for the page, `{"models":[{"file":…,"title":…,"thumbnail":…}]}`, the last of which may be
//! missing. The list is rewritten beside and renamed, after the model itself is in place, since the page reads it while it
//! runs.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A model in a page's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its file's name.
    pub file: String,
    /// What it is called.
    pub title: String,
    /// The name of a small picture of its samples.
    pub thumbnail: Option<String>,
}

/// Put a model into a built page, and into its list under a title, with the thumbnail of its card where it has one. A model
/// of the same name is replaced.
///
/// # Errors
/// If the file cannot be read or the page's folder cannot be written.
pub fn add_model(page: &Path, file: &Path, name: &str, title: &str) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    write_whole(&page.join("models").join(name), &bytes)?;
    let picture = thumbnail(file);
    let thumbnail = picture.as_ref().map(|_| Path::new(name).with_extension("png").display().to_string());
    if let (Some(picture), Some(thumbnail)) = (&picture, &thumbnail) {
        let bytes = fs::read(picture).with_context(|| format!("cannot read {}", picture.display()))?;
        write_whole(&page.join("models").join(thumbnail), &bytes)?;
    }
    let new = Listed { file: name.into(), title: title.into(), thumbnail };
    let mut models = list(&page.join("models"))?;
    match models.iter_mut().find(|listed| listed.file == name) {
        Some(old) => *old = new,
        None => models.push(new),
    }
    write_list(page, &models)
}

/// A folder's list; empty where there is none.
///
/// # Errors
/// If the list is not as it should be.
pub fn list(models: &Path) -> Result<Vec<Listed>> {
    let file = models.join("index.json");
    if !file.exists() {
        return Ok(Vec::new());
    }
    let context = || format!("{} is no list of models", file.display());
    let value: Value = serde_json::from_slice(&fs::read(&file)?).with_context(context)?;
    let entries = value["models"].as_array().with_context(context)?;
    let text = |entry: &Value, key: &str| entry[key].as_str().map(String::from);
    entries
        .iter()
        .map(|entry| {
            Ok(Listed {
                file: text(entry, "file").with_context(context)?,
                title: text(entry, "title").with_context(context)?,
                thumbnail: text(entry, "thumbnail"),
            })
        })
        .collect()
}

/// Write a folder's list.
///
/// # Errors
/// If it cannot be written.
pub fn write_list(page: &Path, models: &[Listed]) -> Result<()> {
    let entry = |Listed { file, title, thumbnail }: &Listed| {
        let mut entry = json!({ "file": file, "title": title });
        if let Some(thumbnail) = thumbnail {
            entry["thumbnail"] = json!(thumbnail);
        }
        entry
    };
    let entries: Vec<Value> = models.iter().map(entry).collect();
    let text = serde_json::to_string_pretty(&json!({ "models": entries }))?;
    write_whole(&page.join("models/index.json"), text.as_bytes())
}

/// Write a file beside its place, then rename it there: a reader sees all of it or nothing.
///
/// # Errors
/// If it cannot be written.
pub fn write_whole(file: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("cannot write {}", file.display());
    fs::create_dir_all(file.parent().with_context(context)?).with_context(context)?;
    let mut name = file.file_name().with_context(context)?.to_os_string();
    name.push(".partial");
    let partial = file.with_file_name(name);
    fs::write(&partial, bytes).with_context(context)?;
    fs::rename(&partial, file).with_context(context)
}

/// The thumbnail of a shipped model, if it has a card.
fn thumbnail(file: &Path) -> Option<PathBuf> {
    let picture = file.parent()?.join("cards").join(file.file_stem()?).join("thumbnail.png");
    picture.is_file().then_some(picture)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_listed_once_and_its_title_replaced() {
        let page = std::env::temp_dir().join(format!("dual-mcmc-page-{}", std::process::id()));
        let model = page.join("some.safetensors");
        fs::create_dir_all(&page).unwrap();
        fs::write(&model, b"weights").unwrap();
        add_model(&page, &model, "a.safetensors", "A").unwrap();
        add_model(&page, &model, "b.safetensors", "B").unwrap();
        fs::create_dir_all(page.join("cards/some")).unwrap();
        fs::write(page.join("cards/some/thumbnail.png"), b"picture").unwrap();
        add_model(&page, &model, "a.safetensors", "A again").unwrap();
        let entry = |file: &str, title: &str, thumbnail: Option<&str>| Listed {
            file: file.into(),
            title: title.into(),
            thumbnail: thumbnail.map(String::from),
        };
        let expected = [entry("a.safetensors", "A again", Some("a.png")), entry("b.safetensors", "B", None)];
        assert_eq!(list(&page.join("models")).unwrap(), expected);
        assert_eq!(fs::read(page.join("models/b.safetensors")).unwrap(), b"weights");
        let left: Vec<_> =
            fs::read_dir(page.join("models")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 4, "{left:?}");
        fs::write(page.join("models/index.json"), "[]").unwrap();
        assert!(list(&page.join("models")).is_err());
        fs::remove_dir_all(&page).unwrap();
    }
}
