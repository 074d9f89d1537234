//! What the program prints: answers on stdout, what it says beside them on stderr.
//!
//! `println!` panics when a pipe's reader has gone away or a disk is full, which would end a training for the
//! sake of a line. Here a line that cannot be printed is lost and the work goes on; at the end [`finish`]
//! reports an answer that could not be given. A reader that has gone away wanted no more of it, which is no
//! error.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::fmt::Arguments;
use std::io::{Error, ErrorKind, IsTerminal, Write, stderr, stdout};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time between two plain lines of progress.
const INTERVAL: Duration = Duration::from_secs(15);

/// Why the first answer that was lost could not be printed.
static LOST: Mutex<Option<Error>> = Mutex::new(None);

/// The bar on the screen, which lines must not be written into.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Print a line of the answer on stdout.
macro_rules! answer {
    ($($text:tt)*) => { $crate::console::to_stdout(format_args!($($text)*)) };
}

/// Say something beside the answer, a line on stderr.
macro_rules! say {
    ($($text:tt)*) => { $crate::console::to_stderr(format_args!($($text)*)) };
}

pub(crate) use {answer, say};

/// See `answer!`.
pub fn to_stdout(line: Arguments) {
    let mut out = stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// See `say!`.
pub fn to_stderr(line: Arguments) {
    // One write: lines of two threads do not mix.
    let write = || drop(stderr().write_all(format!("{line}\n").as_bytes()));
    match &*BAR.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Reports whether all answers were printed. A reader that has gone away wanted no more of them.
///
/// # Errors
/// If stdout could not be written to, and was not merely closed by its reader.
pub fn finish() -> Result<()> {
    match LOST.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("the work is done, but its answer cannot be written to the standard output")
        }
        _ => Ok(()),
    }
}

/// How far a piece of work is, on stderr: a bar in a terminal, elsewhere a plain line now and then.
pub struct Counter {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    printed: Cell<Instant>,
}

impl Counter {
    /// From 0 to `total` of `what`; 0 where nobody knows how many there are.
    pub fn new(total: u64, what: impl Into<String>) -> Counter {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {human_pos}/{human_len} {msg} {eta}") {
                bar.set_style(style);
            }
            bar
        });
        let what = what.into();
        if let Some(bar) = &bar {
            bar.set_message(what.clone());
            *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        }
        Counter { bar, what, total, printed: Cell::new(Instant::now()) }
    }

    /// Shows that `done` items are finished.
    pub fn show(&self, done: u64) {
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.printed.get().elapsed() >= INTERVAL => {
                self.printed.set(Instant::now());
                match self.total {
                    0 => say!("{done} {}", self.what),
                    total => say!("{done}/{total} {}", self.what),
                }
            }
            None => {}
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            *BAR.lock().unwrap_or_else(PoisonError::into_inner) = None;
            bar.finish_and_clear();
        }
    }
}

/// The first line of a message, not too long.
pub fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into(),
    }
}
