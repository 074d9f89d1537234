//! Convolutions and their transposes without a matrix of windows.
//!
//! A convolution of stride s reads its image as s·s phases: the pixels of one parity where s is 2. A
//! tap of the kernel then reads one phase at consecutive places, whatever the stride. The image is
//! copied once, phase by phase, into planes with zeros around them; counting positions through the
//! zeros at the end of each row makes all positions of a tap one run of the plane. What falls on
//! them is computed and left out: at most a third, in the smallest images.
//!
//! The transpose (a convolution's input gradient, and a transposed convolution) is the same the other
//! way round: it writes the s·s phases of its image one by one.

use super::Real;
use super::product::{Panels, rounded};
use crate::network::Conv2d;

/// A convolution in one direction, with its weights.
#[derive(Clone, Debug)]
pub struct Convolution<T> {
    source: Phases,
    target: Phases,
    /// Zeros above a plane, and left of it.
    before: usize,
    padded: [usize; 2],
    /// Elements of all planes, and of what is read beyond them.
    planes: usize,
    parts: Vec<Part<T>>,
}

/// An image as `step`² phases.
#[derive(Clone, Copy, Debug)]
struct Phases {
    channels: usize,
    height: usize,
    width: usize,
    step: usize,
}

/// What is computed together: one phase of the target.
#[derive(Clone, Debug)]
struct Part<T> {
    /// Which phase: its first row and column.
    phase: [usize; 2],
    rows: usize,
    columns: usize,
    /// Where each term begins in the planes.
    places: Vec<usize>,
    panels: Panels<T>,
}

/// A tap of the kernel in one dimension: which element of the kernel, the phase of the source, and
/// how many pixels of that phase lie between target and source.
#[derive(Clone, Copy, Debug)]
struct Tap {
    element: usize,
    phase: usize,
    shift: isize,
}

impl<T: Real> Convolution<T> {
    /// From the input of `c` to its output. `weights` are `c`'s own, `[out, in, k, k]`.
    pub fn forward(c: &Conv2d, weights: &[T]) -> Convolution<T> {
        let source = Phases { channels: c.in_channels, height: c.height, width: c.width, step: c.stride };
        let target = Phases { channels: c.out_channels, height: c.out_height, width: c.out_width, step: 1 };
        let taps = |_phase| -> Vec<Tap> {
            let tap = |element: usize| {
                let place = element as isize - c.padding as isize;
                let stride = c.stride as isize;
                let (phase, shift) = (place.rem_euclid(stride) as usize, place.div_euclid(stride));
                Tap { element, phase, shift }
            };
            (0..c.kernel).map(tap).collect()
        };
        let area = c.kernel * c.kernel;
        Convolution::new(
            source,
            target,
            &taps,
            &|output, input, element| weights[(output * c.in_channels + input) * area + element],
            c.kernel,
        )
    }

    /// From the output of `c` to its input: the transpose.
    pub fn transpose(c: &Conv2d, weights: &[T]) -> Convolution<T> {
        let source = Phases { channels: c.out_channels, height: c.out_height, width: c.out_width, step: 1 };
        let target = Phases { channels: c.in_channels, height: c.height, width: c.width, step: c.stride };
        let taps = |phase: usize| -> Vec<Tap> {
            let stride = c.stride as isize;
            let tap = |element: usize| {
                let place = (phase + c.padding) as isize - element as isize;
                (place.rem_euclid(stride) == 0).then(|| Tap { element, phase: 0, shift: place / stride })
            };
            (0..c.kernel).filter_map(tap).collect()
        };
        let area = c.kernel * c.kernel;
        Convolution::new(
            source,
            target,
            &taps,
            &|output, input, element| weights[(input * c.in_channels + output) * area + element],
            c.kernel,
        )
    }

    /// `taps(phase of the target)` in one dimension; `weight(target channel, source channel, element)`.
    fn new(
        source: Phases,
        target: Phases,
        taps: &dyn Fn(usize) -> Vec<Tap>,
        weight: &dyn Fn(usize, usize, usize) -> T,
        kernel: usize,
    ) -> Convolution<T> {
        let of_phases: Vec<Vec<Tap>> = (0..target.step).map(taps).collect();
        let shifts = || of_phases.iter().flatten().map(|tap| tap.shift);
        let before = shifts().min().unwrap_or(0).min(0).unsigned_abs();
        let after = shifts().max().unwrap_or(0).max(0) as usize;
        let padded = [target.height, target.width].map(|n| n.div_ceil(target.step) + before + after);
        let plane = padded[0] * padded[1];
        let planes = source.channels * source.step * source.step * plane;
        let mut convolution = Convolution { source, target, before, padded, planes, parts: Vec::new() };
        for row in 0..target.step {
            for column in 0..target.step {
                let rows = (target.height - row.min(target.height)).div_ceil(target.step);
                let columns = (target.width - column.min(target.width)).div_ceil(target.step);
                if rows == 0 || columns == 0 {
                    continue;
                }
                let mut terms = Vec::new();
                for channel in 0..source.channels {
                    for y in &of_phases[row] {
                        for x in &of_phases[column] {
                            let phase = (channel * source.step + y.phase) * source.step + x.phase;
                            let [y_shift, x_shift] =
                                [y.shift, x.shift].map(|s| s.wrapping_add_unsigned(before) as usize);
                            let place = phase * plane + y_shift * padded[1] + x_shift;
                            terms.push((place, channel, y.element * kernel + x.element));
                        }
                    }
                }
                let places: Vec<usize> = terms.iter().map(|term| term.0).collect();
                let panels =
                    Panels::new(target.channels, terms.len(), &|m, k| weight(m, terms[k].1, terms[k].2));
                let part = Part { phase: [row, column], rows, columns, places, panels };
                let read = part.places.iter().max().map_or(0, |place| place + part.positions(padded[1]));
                convolution.planes = convolution.planes.max(read);
                convolution.parts.push(part);
            }
        }
        convolution
    }

    /// Apply it to every sample of `x`, and add `bias`, one element for each channel of the target, or none.
    /// `scratch` is memory for it.
    pub fn apply(&self, bias: &[T], x: &[T], y: &mut [T], scratch: &mut Vec<T>) {
        let width = self.padded[1];
        let products = self.parts.iter().map(|p| p.panels.rows() * p.positions(width)).max().unwrap_or(0);
        scratch.resize(self.planes + products, T::from_f32(0.0));
        let (planes, products) = scratch.split_at_mut(self.planes);
        planes.fill(T::from_f32(0.0));
        for (x, y) in x.chunks(self.source.len()).zip(y.chunks_mut(self.target.len())) {
            self.spread(x, planes);
            for part in &self.parts {
                let positions = part.positions(width);
                let products = &mut products[..part.panels.rows() * positions];
                part.panels.multiply(&part.places, planes, bias, positions, products);
                self.gather(part, products, y);
            }
        }
    }

    /// Copy an image into the planes. What lies around them stays zero.
    fn spread(&self, x: &[T], planes: &mut [T]) {
        let Phases { height, width, step, .. } = self.source;
        let [rows, columns] = self.padded;
        let images = planes.chunks_exact_mut(rows * columns * step * step);
        for (image, phases) in x.chunks_exact(height * width).zip(images) {
            for (phase, plane) in phases.chunks_exact_mut(rows * columns).enumerate() {
                let (first_row, first_column) = (phase / step, phase % step);
                let lines = plane.chunks_exact_mut(columns).skip(self.before);
                for (from, to) in image.chunks_exact(width).skip(first_row).step_by(step).zip(lines) {
                    let to = &mut to[self.before..];
                    if step == 1 {
                        let len = width.min(to.len());
                        to[..len].copy_from_slice(&from[..len]);
                    } else {
                        let from = from.iter().skip(first_column).step_by(step);
                        to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
                    }
                }
            }
        }
    }

    /// Copy products to where they belong in the target.
    fn gather(&self, part: &Part<T>, products: &[T], y: &mut [T]) {
        let Phases { height, width, step, .. } = self.target;
        let images =
            y.chunks_exact_mut(height * width).zip(products.chunks_exact(part.positions(self.padded[1])));
        for (image, products) in images {
            let lines = image.chunks_exact_mut(width).skip(part.phase[0]).step_by(step);
            for (to, from) in lines.zip(products.chunks(self.padded[1])) {
                let from = &from[..part.columns];
                if step == 1 {
                    to.copy_from_slice(from);
                } else {
                    let to = to.iter_mut().skip(part.phase[1]).step_by(step);
                    to.zip(from).for_each(|(to, &from)| *to = from);
                }
            }
        }
    }
}

impl<T> Part<T> {
    /// Positions from the first to the last, through the ends of the rows, rounded up.
    fn positions(&self, padded_width: usize) -> usize {
        rounded((self.rows - 1) * padded_width + self.columns)
    }
}

impl Phases {
    /// Elements of one sample.
    fn len(&self) -> usize {
        self.channels * self.height * self.width
    }
}
