//! Memory, which is asked for before it is taken: a system that has none left ends programs without a word.

use anyhow::{Result, ensure};
use sysinfo::System;

/// What is taken without asking.
const SMALL: usize = 64 << 20;

/// Whether `bytes` can be had for `what`.
///
/// # Errors
/// If less is free.
pub fn ask(bytes: usize, what: impl FnOnce() -> String) -> Result<()> {
    if bytes <= SMALL {
        return Ok(());
    }
    let Some(free) = free() else { return Ok(()) };
    ensure!(
        bytes as u64 <= free,
        "{} would take {} of memory, and {} are free; ask for less",
        what(),
        readable(bytes as u64),
        readable(free)
    );
    Ok(())
}

/// Free bytes, of the machine or of what a container may have of it; none where the system does not say.
fn free() -> Option<u64> {
    let mut system = System::new();
    system.refresh_memory();
    let of_machine = Some(system.available_memory()).filter(|&bytes| bytes > 0)?;
    // What a container has read of files counts as used there, though the system gives it back when it is asked.
    let of_container = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
    Some(of_container.map_or(of_machine, |free| free.min(of_machine)))
}

fn readable(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e15 => "more than a million GB".into(),
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b => format!("{:.0} MB", b / 1e6),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused_in_words() {
        ask(1 << 20, || unreachable!()).unwrap();
        let error = ask(usize::MAX, || "everything".into()).unwrap_err().to_string();
        assert!(error.starts_with("everything would take more than a million GB"), "{error}");
        assert_eq!(readable(3_400_000_000), "3.4 GB");
    }
}
