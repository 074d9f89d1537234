//! How long the phases of an iteration take.

use crate::teaching::{Phase, Teacher};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

/// Seconds of each phase, over all iterations since the means were last taken.
#[derive(Clone, Default)]
pub struct Phases(Rc<RefCell<Inner>>);

#[derive(Default)]
struct Inner {
    current: Option<(Phase, Instant)>,
    seconds: [f64; Phase::ALL.len()],
    iterations: u32,
}

impl Inner {
    fn begin(&mut self, phase: Phase) {
        self.close();
        self.current = Some((phase, Instant::now()));
    }

    fn close(&mut self) {
        if let Some((phase, since)) = self.current.take() {
            self.seconds[phase as usize] += since.elapsed().as_secs_f64();
        }
    }
}

impl Phases {
    /// Time the iterations of `teacher`.
    pub fn of(teacher: &mut Teacher) -> Phases {
        let phases = Phases::default();
        let inner = phases.0.clone();
        teacher.observe(move |phase| inner.borrow_mut().begin(phase));
        phases
    }

    /// Starts timing `phase`.
    pub fn begin(&self, phase: Phase) {
        self.0.borrow_mut().begin(phase);
    }

    /// An iteration has ended.
    pub fn end(&self) {
        let mut inner = self.0.borrow_mut();
        inner.close();
        inner.iterations += 1;
    }

    /// Mean milliseconds of each phase since the last call.
    pub fn take_means(&self) -> Value {
        let inner = self.0.take();
        let mean = |phase: Phase| {
            let ms = 1e3 * inner.seconds[phase as usize] / f64::from(inner.iterations.max(1));
            (phase.name().to_string(), json!((1e3 * ms).round() / 1e3))
        };
        Phase::ALL.into_iter().map(mean).collect::<Map<_, _>>().into()
    }
}
