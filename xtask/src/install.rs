//! `cargo xtask install`: the program with the page's files inside it.

use crate::process::{self, cargo, root, target_directory};
use crate::{page, say, tools};
use anyhow::Result;

/// Build the page, and install the program with it, with or without what it needs for GPUs.
///
/// # Errors
/// If a tool is missing and cannot be installed, or something does not compile.
pub fn run(gpu: bool) -> Result<()> {
    let built = target_directory()?.join("install/page");
    page::build_bare(&tools::for_page()?, &built, &[])?;
    say!(
        "Compiling the program: about {} on two cores, once.",
        if gpu { "twenty minutes" } else { "eight minutes" }
    );
    let mut install = cargo();
    install.args(["install", "--locked", "--path"]).arg(root().join("trainer"));
    if !gpu {
        install.args(["--no-default-features", "--features", "cli"]);
    }
    process::run(install.env("DUAL_MCMC_PAGE_FILES", std::path::absolute(built)?))
}
