//! `write-site PAGE OUT MODEL [TITLE]`: a site of a built page and a model. A program of its own, since it needs the loader.

use dual_mcmc_site::files::Files;
use dual_mcmc_site::publish::{Published, write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let (page, out, file, title) = match &words[..] {
        [page, out, file] => (page, out, file, None),
        [page, out, file, title] => (page, out, file, Some(title.to_string_lossy().into_owned())),
        _ => {
            eprintln!("usage: write-site PAGE OUT MODEL [TITLE]");
            return ExitCode::FAILURE;
        }
    };
    let model = Published { file: PathBuf::from(file), title };
    match write(&Files::Folder(PathBuf::from(page)), &[model], Path::new(out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
