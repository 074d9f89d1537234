//! What a training run shows: a bar in a terminal, plain lines elsewhere.

use crate::console::say;
use crate::teaching::Report;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two plain lines.
const INTERVAL: Duration = Duration::from_secs(15);

/// The progress of a run, on stderr.
pub struct Progress {
    bar: Option<ProgressBar>,
    first: u64,
    total: u64,
    started: Instant,
    printed: Option<Instant>,
}

impl Progress {
    /// Progress from iteration `first` to `total`.
    pub fn new(first: u64, total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template = "{bar:24} {pos}/{len} {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_position(first);
            bar
        });
        Progress { bar, first, total, started: Instant::now(), printed: None }
    }

    /// Show the latest iteration.
    pub fn show(&mut self, report: &Report) {
        let done = (report.iteration - self.first).max(1) as f64;
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = done / seconds.max(1e-9);
        let left = (self.total.saturating_sub(report.iteration)) as f64 / rate;
        let text = describe(report, rate, left);
        match &self.bar {
            Some(bar) => {
                bar.set_position(report.iteration);
                bar.set_message(text);
            }
            None => {
                let due = self.printed.is_none_or(|at| at.elapsed() >= INTERVAL);
                if due || report.iteration == self.total {
                    self.printed = Some(Instant::now());
                    say!("{}/{} {text}", report.iteration, self.total);
                }
            }
        }
    }

    /// Say something beside the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say!("{text}")),
            None => say!("{text}"),
        }
    }

    /// Leave the bar as it stands.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// The numbers that matter: speed, time left, E(x) - E(x̃'), and the errors that teach the
/// generator from the data's side and from the EBM's, as far as there are such.
fn describe(report: &Report, rate: f64, seconds_left: f64) -> String {
    let speed = if rate >= 1.0 { format!("{rate:.1} it/s") } else { format!("{:.2} s/it", 1.0 / rate) };
    let mut text = format!("{speed}, {} left", clock(seconds_left));
    if let Some(gap) = report.energy_gap() {
        text.push_str(&format!(", energy gap {gap:+.4}"));
    }
    for (name, error) in [("data", report.generator_data_error), ("EBM", report.generator_ebm_error)] {
        if let Some(error) = error {
            text.push_str(&format!(", error {name} {error:.3}"));
        }
    }
    if let Some(acceptance) = report.x_chain_acceptance {
        text.push_str(&format!(", accepted {:.0}%", 100.0 * acceptance));
    }
    text
}

/// Seconds as h:mm:ss or m:ss.
pub fn clock(seconds: f64) -> String {
    let s = seconds.round().clamp(0.0, 1e9) as u64;
    if s >= 3600 {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    } else {
        format!("{}:{:02}", s / 60, s % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teaching::Rates;

    #[test]
    fn a_person_reads_speed_time_left_gap_and_both_errors() {
        let whole = Report {
            iteration: 7,
            energy_data: Some(1.25),
            energy_model: Some(1.5),
            energy_loss: Some(-0.25),
            generator_data_error: Some(0.5),
            generator_ebm_error: Some(12.3456),
            encoder_data_loss: None,
            encoder_model_loss: None,
            displacement: Some(0.1),
            x_chain_energy: None,
            x_chain_acceptance: Some(0.984),
            z_chain_error: None,
            rates: Rates { energy: 1e-3, generator: 1e-3, encoder: 0.0 },
        };
        assert_eq!(
            describe(&whole, 12.34, 3661.0),
            "12.3 it/s, 1:01:01 left, energy gap -0.2500, error data 0.500, error EBM 12.346, accepted 98%"
        );
        // What a recipe lacks is not spoken of; below one iteration a second the seconds of one are told.
        let no_energy = Report {
            energy_data: None,
            energy_model: None,
            generator_ebm_error: None,
            x_chain_acceptance: None,
            ..whole
        };
        assert_eq!(describe(&no_energy, 0.4, 9.6), "2.50 s/it, 0:10 left, error data 0.500");
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(clock(5.4), "0:05");
        assert_eq!(clock(61.0), "1:01");
        assert_eq!(clock(3.0 * 3600.0 + 62.0), "3:01:02");
        assert_eq!(clock(f64::NAN), "0:00");
    }
}
