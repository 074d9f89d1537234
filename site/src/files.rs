//! The page's own files.

use crate::list::write_whole;
use anyhow::{Context, Result};
use std::borrow::Cow;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Those that were taken into this program when it was compiled: names and contents.
const INSIDE: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Where the page's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// Inside this program.
    Inside,
    /// In a folder that a build has written.
    Folder(PathBuf),
}

impl Files {
    /// The files inside this program, if it was compiled with them.
    pub fn inside() -> Option<Files> {
        (!INSIDE.is_empty()).then_some(Files::Inside)
    }

    /// A file of this name, with slashes in it.
    pub fn read(&self, name: &str) -> Option<Cow<'static, [u8]>> {
        match self {
            Files::Inside => {
                INSIDE.iter().find(|(inside, _)| *inside == name).map(|(_, bytes)| Cow::Borrowed(*bytes))
            }
            Files::Folder(folder) => {
                // Never anything outside it.
                let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
                inside.then(|| fs::read(folder.join(name)).ok().map(Cow::Owned))?
            }
        }
    }

    /// Names of all files, without models.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let folder = match self {
            Files::Inside => return Ok(INSIDE.iter().map(|(name, _)| (*name).into()).collect()),
            Files::Folder(folder) => folder,
        };
        let mut names = Vec::new();
        let mut folders = vec![folder.clone()];
        while let Some(inner) = folders.pop() {
            let cannot = || format!("cannot read {}", inner.display());
            for entry in fs::read_dir(&inner).with_context(cannot)? {
                let path = entry.with_context(cannot)?.path();
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                match path.is_dir() {
                    true if name != "models" => folders.push(path),
                    true => {}
                    false => names.push(name),
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Write all of them into a folder.
    ///
    /// # Errors
    /// If one cannot be read or written.
    pub fn write(&self, to: &Path) -> Result<()> {
        for name in self.names()? {
            let bytes = self.read(&name).with_context(|| format!("cannot read {name} of the page"))?;
            write_whole(&to.join(&name), &bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_own_files_and_no_models() {
        let place = tempfile::tempdir().unwrap();
        let page = place.path().join("page");
        for name in ["page/index.html", "page/example/index.html", "page/models/a.safetensors", "secret"] {
            write_whole(&place.path().join(name), name.as_bytes()).unwrap();
        }
        let files = Files::Folder(page);
        assert_eq!(files.names().unwrap(), ["example/index.html", "index.html"]);
        assert_eq!(files.read("example/index.html").as_deref(), Some(&b"page/example/index.html"[..]));
        for name in ["../secret", "example/../../secret", "/etc/passwd", "nothing"] {
            assert_eq!(files.read(name), None, "{name}");
        }
        let out = place.path().join("out");
        files.write(&out).unwrap();
        assert!(out.join("example/index.html").is_file() && !out.join("models").exists());
    }

    /// The tests' program is compiled without a page.
    #[test]
    fn without_a_page_there_is_none_inside() {
        assert_eq!(Files::inside(), None);
        assert!(Files::Inside.names().unwrap().is_empty());
    }
}
