//! The states of a run, kept at steps that lie evenly over it: what one scrubs back through, and what an animation shows.

/// Most frames that are kept, and most numbers in all of them (24 MB).
const MOST: usize = 64;
const ROOM: usize = 6_000_000;
/// Fewer frames than this are no film.
const FEWEST: usize = 4;

/// The states of all chains after some step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Steps taken before.
    pub step: u32,
    /// The states, `[chains, data]`.
    pub states: Vec<f32>,
}

/// The frames of a run: some at even distances, and the newest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Film {
    kept: Vec<Frame>,
    /// A frame after those, until the next is kept.
    newest: Option<Frame>,
    /// Steps between two that are kept.
    stride: u32,
    most: usize,
}

impl Film {
    /// Whether states of so many numbers have room. So many chains that hardly any frame has are not filmed.
    pub fn has_room(numbers: usize) -> bool {
        ROOM / numbers.max(1) >= FEWEST
    }

    /// A film of a run that starts at `starts`, `[chains, data]`, as far as there is room.
    pub fn of(starts: Vec<f32>) -> Film {
        if !Film::has_room(starts.len()) {
            return Film::default();
        }
        let most = (ROOM / starts.len().max(1)).min(MOST);
        Film { kept: vec![Frame { step: 0, states: starts }], newest: None, stride: 1, most }
    }

    /// Whether there is nothing to be seen.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether the states after `step` steps would be kept.
    pub fn wants(&self, step: u32) -> bool {
        self.kept.last().is_some_and(|last| step / self.stride > last.step / self.stride)
    }

    /// Take in the states after `step` steps.
    pub fn take(&mut self, step: u32, states: Vec<f32>) {
        if self.is_empty() {
            return;
        }
        let frame = Frame { step, states };
        if !self.wants(step) {
            self.newest = Some(frame);
            return;
        }
        self.newest = None;
        self.kept.push(frame);
        if self.kept.len() > self.most {
            self.stride *= 2;
            let (stride, mut last) = (self.stride, None);
            if self.kept.iter().rev().nth(1).is_some_and(|before| before.step / stride == step / stride) {
                self.newest = self.kept.pop();
            }
            // Of each stride the first.
            self.kept.retain(|frame| last.replace(frame.step / stride) != Some(frame.step / stride));
        }
    }

    /// The frames, oldest first.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &Frame> {
        self.kept.iter().chain(&self.newest)
    }

    /// The last frame at or before `step`; without a step the newest.
    pub fn at(&self, step: Option<u32>) -> Option<&Frame> {
        self.frames().rev().find(|frame| step.is_none_or(|step| frame.step <= step))
    }
}

/// Up to `count` of `length` things, evenly, with the first and the last.
pub fn evenly(length: usize, count: usize) -> Vec<usize> {
    let count = count.min(length);
    match count {
        0 | 1 => (0..count).collect(),
        _ => (0..count).map(|i| (i * (length - 1) + (count - 1) / 2) / (count - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(to: u32, by: u32) -> Film {
        let mut film = Film::of(vec![0.0]);
        for step in (by..=to).step_by(by as usize) {
            film.take(step, vec![step as f32]);
        }
        film
    }

    #[test]
    fn frames_lie_evenly_over_a_run_and_the_newest_is_there() {
        for (to, by) in [(10, 1), (64, 1), (65, 1), (1_000, 1), (1_001, 7), (100_000, 3)] {
            let film = run(to, by);
            let steps: Vec<u32> = film.frames().map(|frame| frame.step).collect();
            assert_eq!(steps.first(), Some(&0), "{to}");
            assert_eq!(film.at(None).map(|frame| frame.step), Some(to - to % by), "{to}");
            assert!(
                steps.len() <= MOST + 1 && (to / by < 32 || steps.len() > MOST / 3),
                "{to}: {}",
                steps.len()
            );
            let gaps: Vec<u32> = film.kept.windows(2).map(|pair| pair[1].step - pair[0].step).collect();
            assert!(
                gaps.iter().max() <= gaps.iter().min().map(|gap| gap + 2 * by).as_ref(),
                "{to}: {gaps:?}"
            );
            assert!(film.frames().all(|frame| frame.states == [frame.step as f32]));
        }
    }

    #[test]
    fn what_stays_is_told_before_it_is_taken() {
        let mut film = run(200, 1);
        assert!(film.wants(204) && !film.wants(201), "{film:?}");
        let kept = film.kept.len();
        film.take(201, vec![201.0]);
        film.take(202, vec![202.0]);
        assert_eq!((film.kept.len(), film.at(None).map(|frame| frame.step)), (kept, Some(202)));
        film.take(204, vec![204.0]);
        assert_eq!((film.kept.len(), film.frames().count()), (kept + 1, kept + 1));
    }

    #[test]
    fn one_scrubs_to_the_frame_at_or_before_a_step() {
        let film = run(20, 5);
        assert_eq!(film.at(Some(12)).map(|frame| frame.step), Some(10));
        assert_eq!(film.at(Some(0)).map(|frame| frame.step), Some(0));
        assert_eq!(film.at(Some(99)).map(|frame| frame.step), Some(20));
        assert_eq!(Film::default().at(None), None);
    }

    #[test]
    fn what_has_no_room_is_not_filmed() {
        let mut film = Film::of(vec![0.0; ROOM / 2]);
        film.take(1, Vec::new());
        assert!(film.is_empty() && !film.wants(1) && !Film::has_room(ROOM / 2) && Film::has_room(2048));
    }

    #[test]
    fn a_few_of_many_lie_evenly() {
        assert_eq!(evenly(3, 12), [0, 1, 2]);
        assert_eq!(evenly(64, 4), [0, 21, 42, 63]);
        assert_eq!(evenly(1, 4), [0]);
        assert!(evenly(0, 4).is_empty());
    }
}
