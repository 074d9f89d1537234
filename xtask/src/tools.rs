//! The tools that building and testing the page needs: found on the PATH or in the project's own
//! cache, installed into that cache otherwise. The cache holds one folder a tool and version,
//! `<cache>/dual-mcmc/wasm-bindgen-0.2.130/bin`; a folder is renamed into place once its tool has shown its
//! version, so an installation cut short never counts.

use crate::packages::{self, Package};
use crate::process::{cargo, command, find, output, root, run};
use crate::say;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The page's target.
pub const WASM: &str = "wasm32-unknown-unknown";

/// The page's crate.
pub const PAGE: &str = "dual-mcmc-web";

/// The crate of the page's training view.
pub const TRAINER: &str = "dual-mcmc-teach";

/// What a command needs in its environment to find the tools.
#[derive(Clone, Debug, Default)]
pub struct Toolbox {
    /// Folders that go before the PATH.
    folders: Vec<PathBuf>,
    /// Further variables.
    variables: Vec<(&'static str, OsString)>,
}

impl Toolbox {
    /// Let a command find the tools.
    pub fn lend(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = self.folders.iter().cloned().chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}

/// Everything that building the page needs. If wasm-bindgen must be compiled, the page's code is compiled beside it: one
/// of them alone does not keep two cores busy.
///
/// # Errors
/// If something is missing and cannot be installed; the message says what to do by hand.
pub fn for_page() -> Result<Toolbox> {
    wasm_target()?;
    let bindgen = bindgen()?;
    if bindgen.folder().is_none() {
        say!("{} {} is missing: it writes the page's JavaScript.", bindgen.package, bindgen.version);
        say!(
            "Compiling it into {}, and the page's code beside it: about four minutes on two cores, once.",
            cache()?.display()
        );
        let page = || compile_page(PAGE, &[]);
        std::thread::scope(|scope| {
            let page = scope.spawn(page);
            bindgen.install()?;
            page.join().unwrap_or_else(|_| bail!("the thread that compiles the page has panicked"))
        })?;
    }
    let folder = bindgen.folder().context("wasm-bindgen was installed, and is not to be found")?;
    Ok(Toolbox { folders: folder.into_iter().collect(), variables: Vec::new() })
}

/// Compile a package of the page's code, with further features of its crate.
///
/// # Errors
/// If it does not compile.
pub fn compile_page(package: &str, features: &[&str]) -> Result<()> {
    let mut cargo = cargo();
    cargo.args(["build", "--package", package, "--profile", "web", "--target", WASM]);
    for feature in features {
        cargo.args(["--features", feature]);
    }
    run(&mut cargo)
}

fn bindgen() -> Result<CrateTool> {
    Ok(CrateTool {
        package: "wasm-bindgen-cli",
        program: "wasm-bindgen",
        version: locked_version("wasm-bindgen")?,
        // Without what it fetches browsers' drivers with.
        flags: &["--no-default-features"],
    })
}

/// Everything that the tests need beside [`for_page`].
///
/// # Errors
/// If something is missing and cannot be installed; the message says what to do by hand.
pub fn for_tests() -> Result<Toolbox> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if output(cargo().args([subcommand, "--version"])).is_none() {
            say!("cargo {subcommand} is missing: the tests run it. Installing it with rustup.");
            run(command("rustup").args(["component", "add", component]))?;
        }
    }
    let mut variables = Vec::new();
    if let Some(icd) = software_vulkan()? {
        variables.push(("VK_DRIVER_FILES", icd.into_os_string()));
    }
    let (chromium, chromedriver) = browser()?;
    let why = "axe, which checks that the pages are accessible, comes through it";
    let modules = node_modules(&root().join("tests/package.json"), why)?;
    variables.push(("DUAL_MCMC_NODE_MODULES", modules.into_os_string()));
    variables.push(("CHROMIUM", chromium.into_os_string()));
    variables.push(("CHROMEDRIVER", chromedriver.into_os_string()));
    Ok(Toolbox { folders: Vec::new(), variables })
}

/// The project's own cache of tools.
///
/// # Errors
/// If there is no home folder.
pub fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME")
        .or_else(|| set("LOCALAPPDATA"))
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .context("no home folder is known; set XDG_CACHE_HOME to a folder for the tools")?;
    Ok(base.join("dual-mcmc"))
}

/// The standard library for the page's target, through rustup.
fn wasm_target() -> Result<()> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"])).context("rustc does not run")?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(WASM).join("lib").is_dir() {
        return Ok(());
    }
    say!("Rust's {WASM} target is missing: the page is compiled for it. Installing it with rustup.");
    run(command("rustup").args(["target", "add", WASM]))
        .with_context(|| format!("install the {WASM} target of your Rust and run this again"))
}

/// The version of a package in Cargo.lock.
fn locked_version(package: &str) -> Result<String> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let version = lock.split("[[package]]").find_map(|entry| {
        entry.contains(&format!("\nname = \"{package}\"\n")).then_some(entry)?;
        entry.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
    });
    version.map(String::from).with_context(|| format!("Cargo.lock names no {package}"))
}

/// Whether a program says that it is of a version.
fn is_version(program: &Path, version: &str) -> bool {
    output(command(program).arg("--version"))
        .is_some_and(|said| said.split_whitespace().any(|word| word == version))
}

/// A tool that cargo installs.
struct CrateTool {
    package: &'static str,
    program: &'static str,
    version: String,
    flags: &'static [&'static str],
}

impl CrateTool {
    /// Whether it is there: the folder to add to the PATH, or `Some(None)` if it is on the PATH already.
    fn folder(&self) -> Option<Option<PathBuf>> {
        if find(self.program).is_some_and(|there| is_version(&there, &self.version)) {
            return Some(None);
        }
        let home = self.home().ok()?;
        is_version(&self.executable(&home), &self.version).then(|| Some(home.join("bin")))
    }

    fn home(&self) -> Result<PathBuf> {
        Ok(cache()?.join(format!("{}-{}", self.program, self.version)))
    }

    fn executable(&self, home: &Path) -> PathBuf {
        home.join("bin").join(format!("{}{}", self.program, std::env::consts::EXE_SUFFIX))
    }

    /// Compile it into the cache.
    fn install(&self) -> Result<()> {
        let CrateTool { package, version, .. } = self;
        install_beside(&self.home()?, |partial| {
            // Its own release profile optimises for minutes; the tool runs for seconds.
            let mut install = cargo();
            install.args(["install", "--quiet", package, "--version", version]).args(self.flags);
            install.arg("--root").arg(partial).env("CARGO_TARGET_DIR", partial.join("target"));
            install.envs([
                ("CARGO_PROFILE_RELEASE_LTO", "off"),
                ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256"),
                ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
            ]);
            // Outside the workspace, whose settings are not the tool's.
            install.current_dir(partial);
            run(&mut install).with_context(|| {
                format!("install it by hand with `cargo install {package} --version {version}`")
            })?;
            let _ = fs::remove_dir_all(partial.join("target"));
            if !is_version(&self.executable(partial), version) {
                bail!("{package} was installed, but does not say that it is version {version}");
            }
            Ok(())
        })
    }
}

/// The folder `node_modules` with the packages that a `package.json` names; `why` they are wanted is said where npm must be
/// installed for them.
///
/// # Errors
/// If npm is missing and cannot be installed, or fails.
pub fn node_modules(package: &Path, why: &'static str) -> Result<PathBuf> {
    let wanted = fs::read(package).with_context(|| format!("cannot read {}", package.display()))?;
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let home = cache()?.join(format!("npm-{:016x}", hasher.finish()));
    if home.is_dir() {
        return Ok(home.join("node_modules"));
    }
    npm(why)?;
    say!("Installing {} into {}.", package.display(), home.display());
    install_beside(&home, |partial| {
        fs::write(partial.join("package.json"), &wanted)?;
        let mut npm = command("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]);
        run(npm.current_dir(partial))
    })?;
    Ok(home.join("node_modules"))
}

/// npm, which is needed since `why`.
///
/// # Errors
/// If it is missing and cannot be installed.
pub fn npm(why: &'static str) -> Result<()> {
    if find("npm").is_some() {
        return Ok(());
    }
    packages::install(&Package {
        what: "npm",
        why,
        apt: &["npm"],
        elsewhere: &[
            ("brew", "brew install node"),
            ("dnf", "sudo dnf install npm"),
            ("pacman", "sudo pacman -S npm"),
        ],
    })
}

/// Install into a folder beside `home`, then rename it into place.
fn install_beside(home: &Path, install: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut name = home.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".partial-{}", std::process::id()));
    let partial = home.with_file_name(name);
    fs::create_dir_all(&partial).with_context(|| format!("cannot write to {}", partial.display()))?;
    let result = install(&partial).and_then(|()| {
        // What is there did not show its version, or another xtask was faster with the same tool.
        let _ = fs::remove_dir_all(home);
        fs::rename(&partial, home).with_context(|| format!("cannot write {}", home.display()))
    });
    if result.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    result
}

/// The driver file of the software Vulkan device, where no hardware has a driver.
fn software_vulkan() -> Result<Option<PathBuf>> {
    let chosen = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]
        .into_iter()
        .find_map(|name| std::env::var_os(name).map(|files| (name, files)));
    if let Some((name, files)) = &chosen {
        // Without a driver every test of the GPU would fail, and none would say why.
        ensure!(
            std::env::split_paths(files).any(|file| file.exists()),
            "{name} names no file that is there: {}. Unset it, or name a Vulkan driver's .json file",
            files.display()
        );
    }
    if !cfg!(target_os = "linux") || chosen.is_some() {
        return Ok(None);
    }
    let software = |name: &str| name.starts_with("lvp_icd");
    let hardware = vulkan_drivers().iter().any(|(name, _)| !software(name));
    if hardware && has_gpu() {
        return Ok(None);
    }
    let lavapipe = || vulkan_drivers().into_iter().find(|(name, _)| software(name)).map(|(_, file)| file);
    if let Some(icd) = lavapipe() {
        return Ok(Some(icd));
    }
    packages::install(&Package {
        what: "A Vulkan device",
        why: "the GPU tests run on one; without a graphics card a software device will do",
        apt: &["mesa-vulkan-drivers"],
        elsewhere: &[
            ("dnf", "sudo dnf install mesa-vulkan-drivers"),
            ("pacman", "sudo pacman -S vulkan-swrast vulkan-icd-loader"),
        ],
    })?;
    Ok(Some(lavapipe().context("mesa-vulkan-drivers is installed, but no lvp_icd file is to be found")?))
}

/// Whether a graphics device may be there. On Linux the kernel shows it.
pub fn has_gpu() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let render = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    render.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("renderD"))
        || ["/dev/nvidia0", "/dev/dxg"].iter().any(|device| Path::new(device).exists())
}

/// Names and paths of the installed Vulkan drivers' files.
fn vulkan_drivers() -> Vec<(String, PathBuf)> {
    let folders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let files = folders.iter().flat_map(fs::read_dir).flatten().flatten();
    files.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
}

/// Chromium and its driver.
fn browser() -> Result<(PathBuf, PathBuf)> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_file());
    let chromium = || {
        let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
        let app = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
        set("CHROMIUM")
            .or_else(|| names.iter().find_map(|name| find(name)))
            .or_else(|| app.is_file().then_some(app))
    };
    let driver = || set("CHROMEDRIVER").or_else(|| find("chromedriver"));
    if let (Some(chromium), Some(driver)) = (chromium(), driver()) {
        return Ok((chromium, driver));
    }
    packages::install(&Package {
        what: "Chromium with its driver",
        why: "the browser tests open the page in it",
        apt: &["chromium", "chromium-driver"],
        elsewhere: &[
            ("brew", "brew install --cask chromium chromedriver"),
            ("dnf", "sudo dnf install chromium chromedriver"),
            ("pacman", "sudo pacman -S chromium"),
        ],
    })?;
    let missing =
        "Chromium and chromedriver are not on the PATH; set CHROMIUM and CHROMEDRIVER to their files";
    Ok((chromium().context(missing)?, driver().context(missing)?))
}

/// Whether the tools of the page are there, without installing any.
pub fn page_tools_present() -> bool {
    bindgen().is_ok_and(|bindgen| bindgen.folder().is_some())
}
