//! Files that are either whole or not there: written beside, then renamed.

use anyhow::{Context, Result};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What names of unfinished files begin with.
const UNFINISHED: &str = ".writing-";

/// Write a file through `fill`, beside its place, and rename it only when all of it is on disk.
///
/// # Errors
/// If the folder cannot be written to, the disk is full, or `fill` fails; then nothing has changed.
pub fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<NamedTempFile>) -> Result<()>) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    {
        // The umask decides, as for any other file; the default would be readable by nobody else.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder_of(path)).with_context(cannot)?;
    let mut writer = BufWriter::new(file);
    fill(&mut writer)?;
    let file = writer.into_inner().map_err(|e| e.into_error()).with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(path).map_err(|e| e.error).with_context(cannot)?;
    Ok(())
}

/// Write `bytes` as [`write`] does.
///
/// # Errors
/// As [`write`].
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, |file| file.write_all(bytes).with_context(|| format!("cannot write {}", path.display())))
}

/// Remove what a program that was killed while it wrote has left in `folder`.
///
/// # Errors
/// If the folder cannot be read, or such a file not be removed.
pub fn sweep(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot clear {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path()).with_context(cannot)?;
        }
    }
    Ok(())
}

/// Put the folder `new` in the place of `path`, whatever is there.
///
/// # Errors
/// If a folder cannot be renamed.
pub fn replace_folder(new: &Path, path: &Path) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    if path.exists() {
        // Two renames: a rename over a folder that is not empty fails everywhere.
        let old =
            tempfile::Builder::new().prefix(".old-").tempdir_in(folder_of(path)).with_context(cannot)?;
        std::fs::rename(path, old.path().join("old")).with_context(cannot)?;
    }
    std::fs::rename(new, path).with_context(cannot)
}

/// Fail now if a file at `path` could not be written later.
///
/// # Errors
/// If its folder is missing or cannot be written to, or a folder is in its place.
pub fn check_writable(path: &Path) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    anyhow::ensure!(!path.is_dir(), "cannot write {}: it is a folder", path.display());
    tempfile::tempfile_in(folder_of(path)).with_context(cannot)?;
    Ok(())
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_bytes(&path, b"old").unwrap();
        let failed = write(&path, |file| {
            file.write_all(b"half of the new")?;
            bail!("the writer gives up")
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        write_bytes(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_folder_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let (new, path) = (folder.path().join("new"), folder.path().join("last"));
        for content in ["first", "second"] {
            std::fs::create_dir(&new).unwrap();
            std::fs::write(new.join("file"), content).unwrap();
            replace_folder(&new, &path).unwrap();
            assert_eq!(std::fs::read_to_string(path.join("file")).unwrap(), content);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_place_below_a_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let path = folder.path().join("file").join("model.safetensors");
        let error = check_writable(&path).unwrap_err().to_string();
        assert!(error.contains("model.safetensors"), "{error}");
        assert!(write_bytes(&path, b"x").is_err());
    }
}
