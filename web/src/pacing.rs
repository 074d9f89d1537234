//! How many steps to take now.
//!
//! The reader asks for steps per second; the device decides how many of them fit between two
//! frames. What does not fit is dropped, never queued: a slow adapter runs slower, not later.

/// A submission that takes longer than this makes the page stutter.
const BUDGET_MS: f64 = 10.0;
/// A pause of the page, as behind another tab, is not made up for.
const LONGEST_GAP_MS: f64 = 250.0;
/// Most steps at once: fewer than the trace holds, so that no energy is lost between two reads.
pub const MOST_AT_ONCE: u32 = 64;

/// Paces one run of chains.
#[derive(Clone, Debug)]
pub struct Pacer {
    due: f64,
    last: Option<f64>,
    at_once: f64,
}

impl Default for Pacer {
    fn default() -> Pacer {
        Pacer { due: 1.0, last: None, at_once: 1.0 }
    }
}

impl Pacer {
    /// Steps to take at time `now` (milliseconds) for `rate` steps per second.
    pub fn due(&mut self, now: f64, rate: f32) -> u32 {
        let gap = self.last.map_or(0.0, |last| (now - last).clamp(0.0, LONGEST_GAP_MS));
        self.last = Some(now);
        self.due = (self.due + gap * f64::from(rate) / 1000.0).min(self.at_once.max(1.0) + 1.0);
        let steps = self.due.floor().min(self.at_once);
        self.due -= steps;
        steps as u32
    }

    /// Learn from `steps` that took `elapsed` milliseconds until the device had finished. The time
    /// includes the wait for the browser's report, so it bounds the cost of a step only from above:
    /// the number of steps at once grows while they still fit, and shrinks when they do not.
    ///
    /// Where several figures run, `share` is this one's part of the time between two frames.
    pub fn took(&mut self, steps: u32, elapsed: f64, share: f64) {
        let (steps, budget) = (f64::from(steps), BUDGET_MS * share);
        if elapsed > 2.0 * budget {
            self.at_once = (steps * budget / elapsed).floor();
        } else if elapsed < budget && steps >= self.at_once {
            self.at_once += self.at_once.max(1.0);
        }
        self.at_once = self.at_once.clamp(1.0, f64::from(MOST_AT_ONCE));
    }

    /// Forget the clock, as after a pause.
    pub fn rest(&mut self) {
        self.last = None;
        self.due = 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps in ten seconds of frames on a device with a fixed cost per step and per submission.
    fn steps_in_ten_seconds(rate: f32, step_ms: f64, wait_ms: f64) -> (u32, f64) {
        let (mut pacer, mut now, mut steps, mut longest) = (Pacer::default(), 0.0, 0, 0.0f64);
        while now < 10_000.0 {
            let n = pacer.due(now, rate);
            let elapsed = if n == 0 { 0.0 } else { f64::from(n) * step_ms + wait_ms };
            if n > 0 {
                pacer.took(n, elapsed, 1.0);
            }
            if now > 5_000.0 {
                longest = longest.max(elapsed);
            }
            steps += n;
            now += (elapsed / 16.0).ceil().max(1.0) * 16.0;
        }
        (steps, longest)
    }

    #[test]
    fn a_fast_device_keeps_the_rate() {
        for rate in [1.0, 10.0, 60.0, 240.0] {
            let (steps, _) = steps_in_ten_seconds(rate, 0.05, 5.0);
            let wanted = 10.0 * rate;
            assert!((steps as f32 - wanted).abs() <= 0.03 * wanted + 2.0, "{rate}: {steps}");
        }
    }

    #[test]
    fn a_slow_device_is_never_given_more_than_it_can_do() {
        let (steps, longest) = steps_in_ten_seconds(240.0, 100.0, 5.0);
        assert!(longest <= 105.0, "{longest} ms");
        assert!((80..=95).contains(&steps), "{steps}");
        let (_, longest) = steps_in_ten_seconds(240.0, 3.0, 0.0);
        assert!(longest <= 20.0, "{longest} ms");
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut pacer = Pacer::default();
        pacer.due(0.0, 60.0);
        assert!(pacer.due(60_000.0, 60.0) <= 2);
    }
}
