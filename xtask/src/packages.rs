//! What only the system's package manager can install. apt-get is run for the user, who is asked
//! first; for the others the command is named.

use crate::process;
use crate::say;
use anyhow::{Result, bail};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Something from the system's packages.
pub struct Package {
    /// What it is, as in "Chromium".
    pub what: &'static str,
    /// What it is needed for, as in "the browser tests drive it".
    pub why: &'static str,
    /// Debian's and Ubuntu's packages.
    pub apt: &'static [&'static str],
    /// How to install it elsewhere: the manager's program, and the whole command.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

/// Install a package, asking first.
///
/// # Errors
/// If the user declines or nobody can be asked, there is no apt-get, or it fails; the message says
/// what to install by hand.
pub fn install(package: &Package) -> Result<()> {
    let Package { what, why, apt, elsewhere } = package;
    say!("{what} is missing: {why}.");
    if process::find("apt-get").is_none() {
        let known = elsewhere.iter().find(|(manager, _)| process::find(manager).is_some());
        match known {
            Some((_, command)) => {
                bail!("{what} is missing; install it with `{command}` and run this again")
            }
            None => bail!(
                "{what} is missing; install it by hand and run this again (Debian's packages are {})",
                apt.join(", ")
            ),
        }
    }
    let by_hand = format!("apt-get install {}", apt.join(" "));
    let root = process::output(process::command("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    let prefix: &[&str] = if root { &[] } else { &["sudo"] };
    if !root && process::find("sudo").is_none() {
        bail!("{what} is missing; as root, run `{by_hand}`, then run this again");
    }
    if !agreed(&[prefix, &["apt-get install", &apt.join(" ")]].concat().join(" "))? {
        bail!("{what} is missing; as root, run `{by_hand}`, then run this again");
    }
    let apt_get = |arguments: &[&str]| {
        let words =
            [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"], arguments].concat();
        process::run(process::command(words[0]).args(&words[1..]))
    };
    if !UPDATED.swap(true, Ordering::Relaxed) {
        // One unreachable source among several is no reason to stop: the install decides.
        if let Err(error) = apt_get(&["update"]) {
            say!("{error:#}; going on with the lists that are there");
        }
    }
    apt_get(&[&["install", "--no-install-recommends"], *apt].concat())
}

/// Whether apt-get's lists are fresh: once in a run is enough.
static UPDATED: AtomicBool = AtomicBool::new(false);

/// Ask whether a command may run as root. CI=true means yes; without a terminal nobody can be
/// asked, which means no.
fn agreed(command: &str) -> Result<bool> {
    if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        say!("Running `{command}` (CI=true).");
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        say!("`{command}` would install it, but nobody is here to agree (CI=true would).");
        return Ok(false);
    }
    print!("May I run `{command}`? [Y/n] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}
