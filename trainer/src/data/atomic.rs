//! Files that are either whole or not there: written beside, then renamed.

use crate::run::interrupt::{self, Cleanup};
use anyhow::{Context, Result};
use std::fs::{File, TryLockError};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};

/// What names of unfinished files and folders begin with. Who writes one holds a lock on it, or on the file
/// [`LOCK`] in it: the system lets go of a lock when its process ends, however it ends.
const UNFINISHED: &str = ".writing-";
const LOCK: &str = "lock";

/// Letters of such a name that are random.
const RANDOM: usize = 6;

/// Write a file through `fill`, beside its place, and rename it only when all of it is on disk.
///
/// # Errors
/// If the folder cannot be written to, the disk is full, or `fill` fails; then nothing has changed.
pub fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<NamedTempFile>) -> Result<()>) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED).rand_bytes(RANDOM);
    #[cfg(unix)]
    {
        // The umask decides, as for any other file; the default would be readable by nobody else.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder_of(path)).with_context(cannot)?;
    let place = file.path().to_path_buf();
    let _cleanup = Cleanup::new(move || drop(std::fs::remove_file(place)));
    // Where a file system knows no locks, nothing tells the unfinished from the abandoned.
    let _ = file.as_file().try_lock();
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

/// Remove what programs that were killed while they wrote have left in `folder`. What another program is still
/// writing stays.
///
/// # Errors
/// If the folder cannot be read, or something abandoned not be removed.
pub fn sweep(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot clear {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let name = entry.file_name();
        if name.len() != UNFINISHED.len() + RANDOM || !name.to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let path = entry.path();
        let is_folder = path.is_dir();
        let lock = if is_folder { path.join(LOCK) } else { path.clone() };
        if File::open(lock).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock))) {
            continue;
        }
        let removed = if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.with_context(cannot)?;
    }
    Ok(())
}

/// A folder for work in progress, gone when the work is done or given up.
pub struct Scratch {
    folder: TempDir,
    _lock: File,
    _cleanup: Cleanup,
}

impl Scratch {
    /// A new one in `parent`, where those that killed programs have left are removed.
    ///
    /// # Errors
    /// If `parent` cannot be written to.
    pub fn new(parent: &Path) -> Result<Scratch> {
        let cannot = || format!("cannot write to {}", parent.display());
        // What cannot be cleared is no reason to stop.
        let _ = sweep(parent);
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED).rand_bytes(RANDOM);
        let folder = builder.tempdir_in(parent).with_context(cannot)?;
        let place = folder.path().to_path_buf();
        let cleanup = Cleanup::new(move || drop(std::fs::remove_dir_all(place)));
        let lock = File::create(folder.path().join(LOCK)).with_context(cannot)?;
        let _ = lock.try_lock();
        Ok(Scratch { folder, _lock: lock, _cleanup: cleanup })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Make a folder and those above it. Of these, the ones that are still empty when the result is dropped, or when
/// the program is asked to end, are removed again.
///
/// # Errors
/// If one cannot be made.
pub fn make_folder(path: &Path) -> Result<Cleanup> {
    let missing = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists());
    let missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
    let made = Cleanup::new(move || missing.iter().for_each(|folder| drop(std::fs::remove_dir(folder))));
    std::fs::create_dir_all(path).with_context(|| format!("cannot make the folder {}", path.display()))?;
    Ok(made)
}

/// Put the folder `new` in the place of `path`, whatever is there.
///
/// # Errors
/// If a folder cannot be renamed.
pub fn replace_folder(new: &Path, path: &Path) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    // Two renames: a rename over a folder that is not empty fails everywhere.
    interrupt::undivided(|| {
        let mut old = None;
        if path.exists() {
            let mut builder = tempfile::Builder::new();
            builder.prefix(UNFINISHED).rand_bytes(RANDOM);
            let beside = builder.tempdir_in(folder_of(path)).with_context(cannot)?;
            std::fs::rename(path, beside.path().join("old")).with_context(cannot)?;
            old = Some(beside);
        }
        let renamed = std::fs::rename(new, path).with_context(cannot);
        if let (Err(_), Some(old)) = (&renamed, &old) {
            std::fs::rename(old.path().join("old"), path).with_context(cannot)?;
        }
        renamed
    })
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
pub fn folder_of(path: &Path) -> PathBuf {
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
