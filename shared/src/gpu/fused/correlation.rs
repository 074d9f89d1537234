//! Linear layers and convolutions of both directions as one operation: every output is a sum over the taps of
//! a window and over channels.
//!
//! A *window* looks at `kernel` places around each output, as a convolution does; its transpose, a *spread*,
//! computes `stride` × `stride` interleaved phases of the output, each a window of its own, smaller kernel. A
//! linear layer is a window as large as the image it reads, or a spread from one place to the image it
//! writes.

use crate::network::Conv2d;

/// Channels, height and width.
pub(super) type Shape = [usize; 3];

/// A stride that no place reaches: every row and column is a phase of its own.
const APART: usize = 1 << 16;

/// Channel-wise factors that are multiplied into the weights, and terms that go to the bias. Offsets into the
/// flat weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) scale: usize,
    pub(super) shift: usize,
}

/// Where a weight lies in the flat weights: `offset + Σ index · stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) offset: usize,
    pub(super) output: usize,
    pub(super) input: usize,
    /// Strides of the kernel's rows and columns.
    pub(super) kernel: [usize; 2],
}

/// The operation, in one direction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Correlation {
    pub(super) from: Shape,
    pub(super) to: Shape,
    /// Rows and columns of the kernel.
    pub(super) kernel: [usize; 2],
    pub(super) stride: usize,
    pub(super) padding: usize,
    /// Whether it is a spread.
    pub(super) spreads: bool,
    /// Whether the 4 × 4 kernel's elements are sums of a 3 × 3 kernel's: a convolution after upsampling.
    pub(super) sums: bool,
    pub(super) source: Source,
    /// The bias, and the stride of its channels: an image made by a linear layer has one for each element.
    pub(super) bias: Option<[usize; 2]>,
    pub(super) scale: Option<Scale>,
    /// Whether the scale belongs to the channels of `from`: in the backward direction.
    pub(super) scales_input: bool,
}

impl Correlation {
    /// A linear layer between images of these shapes, of which one is a vector, or has to be seen as one.
    pub(super) fn linear(from: Shape, to: Shape, weight: usize, bias: Option<usize>) -> Correlation {
        let inputs: usize = from.iter().product();
        let places = |shape: Shape| shape[1] * shape[2];
        let spreads = places(to) > 1;
        let shape = if spreads { to } else { from };
        // Elements of the image are columns of the weights, or rows.
        let one = if spreads { inputs } else { 1 };
        let source = Source {
            offset: weight,
            output: inputs * places(to),
            input: places(from),
            kernel: [shape[2] * one, one],
        };
        Correlation {
            from,
            to,
            kernel: [shape[1], shape[2]],
            stride: if spreads { APART } else { 1 },
            padding: 0,
            spreads,
            sums: false,
            source,
            bias: bias.map(|bias| [bias, places(to)]),
            scale: None,
            scales_input: false,
        }
    }

    /// The convolution `c`.
    pub(super) fn window(c: &Conv2d, bias: Option<usize>) -> Correlation {
        let area = c.kernel * c.kernel;
        Correlation {
            from: [c.in_channels, c.height, c.width],
            to: [c.out_channels, c.out_height, c.out_width],
            kernel: [c.kernel; 2],
            stride: c.stride,
            padding: c.padding,
            spreads: false,
            sums: false,
            source: Source {
                offset: c.weight,
                output: c.in_channels * area,
                input: area,
                kernel: [c.kernel, 1],
            },
            bias: bias.map(|bias| [bias, 1]),
            scale: None,
            scales_input: false,
        }
    }

    /// The transpose of the convolution `c`.
    pub(super) fn spread(c: &Conv2d, bias: Option<usize>) -> Correlation {
        Correlation { bias: bias.map(|bias| [bias, 1]), ..Correlation::window(c, None).transposed() }
    }

    /// The transposed correlation, without bias: it gives the gradient in the input.
    pub(super) fn transposed(&self) -> Correlation {
        let mut source = self.source;
        std::mem::swap(&mut source.output, &mut source.input);
        let linear = self.stride == APART || !self.spreads && self.to[1..] == [1, 1] && self.padding == 0;
        let stride = match (linear, self.spreads) {
            (true, true) => 1,
            (true, false) => APART,
            _ => self.stride,
        };
        Correlation {
            from: self.to,
            to: self.from,
            stride,
            spreads: !self.spreads,
            source,
            bias: None,
            scales_input: !self.scales_input,
            ..self.clone()
        }
    }

    /// The 3×3 convolution `c` of an image upsampled by two, from the image itself.
    ///
    /// Outputs of one parity of row and column see the same 2 × 2 places of the small image: a spread with
    /// stride 2 and 4 × 4 kernels, and 4/9 of the multiplications.
    pub(super) fn upsampled_window(c: &Conv2d, bias: Option<usize>) -> Correlation {
        let window = Correlation::window(c, bias);
        let [channels, height, width] = window.from;
        Correlation {
            from: [channels, height / 2, width / 2],
            kernel: [4, 4],
            stride: 2,
            spreads: true,
            sums: true,
            ..window
        }
    }

    /// Phases of the output's rows and columns.
    pub(super) fn phases(&self) -> [usize; 2] {
        let phases = |size: usize| if self.spreads { self.stride.min(size) } else { 1 };
        [phases(self.to[1]), phases(self.to[2])]
    }

    /// Rows and columns of a phase's window.
    pub(super) fn taps(&self) -> [usize; 2] {
        self.kernel.map(|size| if self.spreads { size.div_ceil(self.stride) } else { size })
    }

    /// Rows and columns of a phase of the output.
    pub(super) fn grid(&self) -> [usize; 2] {
        let [rows, columns] = self.phases();
        [self.to[1].div_ceil(rows), self.to[2].div_ceil(columns)]
    }

    /// From one output of a phase to the next, in rows or columns of the input.
    pub(super) fn step(&self) -> usize {
        if self.spreads { 1 } else { self.stride }
    }

    /// The row or column of the input where the first output's window starts, before what a phase adds.
    pub(super) fn first(&self) -> [isize; 2] {
        if self.spreads { self.taps().map(|taps| 1 - taps as isize) } else { [-(self.padding as isize); 2] }
    }

    /// What phase `phase` adds to that.
    fn shift(&self, phase: usize) -> usize {
        if self.spreads { (phase + self.padding) / self.stride } else { 0 }
    }

    /// Zeros that this direction and its transpose want around `from` and around `to`.
    pub(super) fn borders(&self) -> [usize; 2] {
        [self.border(), self.transposed().border()]
    }

    /// How far windows reach over the edge of `from`.
    pub(super) fn border(&self) -> usize {
        let (first, taps, grid, phases) = (self.first(), self.taps(), self.grid(), self.phases());
        let reach = |d: usize| {
            let before = -first[d] - self.shift(0) as isize;
            let last = (self.grid_last(d, grid[d], phases[d])) as isize;
            let after = first[d] + last + taps[d] as isize - self.from[1 + d] as isize;
            before.max(after).max(0) as usize
        };
        reach(0).max(reach(1))
    }

    /// The largest start of a window in dimension `d`, relative to the first.
    fn grid_last(&self, d: usize, grid: usize, phases: usize) -> usize {
        let start = |phase: usize| {
            // Late phases may have one place less.
            let places = (self.to[1 + d] - phase).div_ceil(phases).min(grid);
            (places - 1) * self.step() + self.shift(phase)
        };
        (0..phases).map(start).max().unwrap_or(0)
    }
}
