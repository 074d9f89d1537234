//! Takes the files of a built page into the program, if `DUAL_MCMC_PAGE_FILES` names their folder: `cargo xtask install`.
#![allow(clippy::expect_used, reason = "a build script stops with what is wrong")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

const FOLDER: &str = "DUAL_MCMC_PAGE_FILES";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={FOLDER}");
    let mut files = Vec::new();
    if let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", folder.display());
        add(&folder, &folder, &mut files);
        files.sort();
        assert!(!files.is_empty(), "{FOLDER} names {}, which holds no page", folder.display());
    }
    let mut source = String::from("&[\n");
    for (name, file) in files {
        writeln!(source, "    ({name:?}, include_bytes!({file:?})),").expect("a string takes all");
    }
    source.push(']');
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("page.rs");
    std::fs::write(out, source).expect("cargo's folder can be written");
}

/// All files of the page below a folder but its models, by their names in an address.
fn add(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    for entry in std::fs::read_dir(folder).expect("the page's folder can be read") {
        let path = entry.expect("the page's folder can be read").path();
        let name = path.strip_prefix(root).expect("it is below").to_string_lossy().replace('\\', "/");
        if name == "models" {
            continue;
        }
        if path.is_dir() {
            add(root, &path, files);
        } else {
            files.push((name, path.canonicalize().expect("it is there")));
        }
    }
}
