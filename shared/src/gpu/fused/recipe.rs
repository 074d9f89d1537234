//! A correlation as the GPU runs it: which kernel, and everything that the kernel and the packing of its weights are
//! told.

use super::choice::{Choice, Size};
use super::correlation::{Correlation, Shape};
use super::finish::Quad;
use super::geometry::Geometry;
use super::tiled::Tile;
use crate::gpu::dispatch::Extent;

/// Which kernel computes a correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::gpu) struct Variant {
    /// Neighbouring outputs of one invocation.
    pub(super) positions: usize,
    /// Elements of output channels of one invocation.
    pub(super) blocks: usize,
    /// Invocations that divide each sum among them.
    pub(super) split: usize,
    /// Whether four invocations share what they read of the weights.
    pub(super) shared: bool,
    /// Columns of the window that are taken together, their inputs read once.
    pub(super) taps: usize,
    /// From one output to the next in columns of the input; 0 if it is the kernel's parameter.
    pub(super) step: usize,
    /// Whether an element of the input is one channel instead of four.
    pub(super) scalar: bool,
    /// Whether places beyond the edge are to be told by their index: there is no border.
    pub(super) checked: bool,
    /// Whether sums start at a bias.
    pub(super) biased: bool,
    pub(super) write: Write,
}

impl Variant {
    /// Variants enough to have everything in a kernel's text that a network may need: every window by one choice,
    /// and every choice on one window.
    #[cfg(not(target_arch = "wasm32"))]
    pub(in crate::gpu) fn all() -> Vec<Variant> {
        let windows = [(1, 0)].into_iter().chain((1..=4).flat_map(|taps| [(taps, 1), (taps, 2)]));
        let usual = (8, 2, 1, false);
        let choices = Choice::all().into_iter().filter_map(|choice| match choice {
            Choice::Direct { positions, blocks, split, shared } => Some((positions, blocks, split, shared)),
            Choice::Tiled(_) => None,
        });
        let chosen = windows.map(|window| (window, usual)).chain(choices.map(|choice| ((3, 1), choice)));
        let mut all = Vec::new();
        for ((taps, step), (positions, blocks, split, shared)) in chosen {
            for (scalar, checked) in [(false, false), (true, false), (true, true)] {
                for write in [Write::Elements, Write::Channels, Write::Narrow] {
                    // Every other one, to have both.
                    let biased = all.len().is_multiple_of(2);
                    let shared = shared && write != Write::Narrow;
                    let blocks = match (write, shared) {
                        (Write::Narrow, _) => 1,
                        (_, true) => 4,
                        _ => blocks,
                    };
                    all.push(Variant {
                        positions,
                        blocks,
                        split,
                        shared,
                        taps,
                        step,
                        scalar,
                        checked,
                        biased,
                        write,
                    });
                }
            }
        }
        all
    }

    /// How it can take a step with what it writes, for tools that check shaders.
    #[cfg(not(target_arch = "wasm32"))]
    pub(in crate::gpu) fn quads(&self) -> &'static [Quad] {
        match (self.write, self.positions, self.step) {
            (Write::Elements, ..) => &[Quad::Element],
            (_, 4.., 0) => &[Quad::Row, Quad::Channels],
            (_, 4.., _) => &[Quad::Row],
            (.., 0) => &[Quad::Channels],
            _ => &[],
        }
    }

    /// Whether it writes elements of four channels.
    pub(in crate::gpu) fn writes_elements(&self) -> bool {
        self.write == Write::Elements
    }
}

/// How a kernel writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::gpu) enum Write {
    /// Elements of four channels.
    Elements,
    /// Four channels, one by one.
    Channels,
    /// One channel.
    Narrow,
}

/// The kernel of a correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) enum Kernel {
    /// `correlate.wgsl`.
    Direct(Variant),
    /// `tiled.wgsl`.
    Tiled(Tile),
}

/// The parameters of a correlation's kernel and of `pack.wgsl`.
pub(super) struct Recipe {
    pub(super) kernel: Kernel,
    /// What it was chosen by, and what was chosen.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) choice: (Size, Choice),
    pub(super) params: Vec<u32>,
    /// How a step can be taken with the results, were they the gradient of a chain's state: four elements at a
    /// time, so that each block of random numbers is drawn once.
    pub(super) quad: Option<Quad>,
    /// Invocations of a direct kernel, workgroups of a tiled one.
    pub(super) extent: Extent,
    /// Parameters of the packing of weights, the bias, and elements of four that each has.
    pub(super) pack: [u32; 24],
    pub(super) pack_bias: [u32; 12],
    pub(super) weights: usize,
    pub(super) biases: usize,
}

impl Correlation {
    /// How a buffer with this geometry is read or written as `shape`: a caller's rows may be vectors to a
    /// linear layer, and an image to others.
    pub(super) fn layout(&self, shape: Shape, geometry: &Geometry) -> Geometry {
        match shape {
            [channels, 1, 1] if geometry.border == 0 && geometry.height * geometry.width > 1 => {
                Geometry::vector(channels)
            }
            _ => *geometry,
        }
    }

    /// Everything the GPU needs to know. `slope` are the bits of a leaky ReLU's, for the tail. The bias is
    /// packed behind the weights.
    pub(super) fn recipe(
        &self,
        batch: usize,
        [input, output]: [&Geometry; 2],
        slope: u32,
        choose: impl FnOnce(&Size) -> Choice,
    ) -> Recipe {
        let (phases, taps, grid) = (self.phases(), self.taps(), self.grid());
        let first = self.first();
        // Where each sample has one place, neighbours are samples.
        let by_sample = grid == [1, 1];
        let [rows, columns] = if by_sample { [1, batch] } else { grid };
        let samples = if by_sample { 1 } else { batch };
        let scalar = input.lanes == 1;
        let checked = scalar && self.border() > 0;
        let write = match (output.lanes, self.to[0]) {
            (1, 1) => Write::Narrow,
            (1, _) => Write::Channels,
            _ => Write::Elements,
        };
        let elements = if write == Write::Narrow { 1 } else { self.to[0].div_ceil(4) };
        let step = if by_sample { 0 } else { self.step() };
        let together = matches!(step, 1 | 2) && taps[1] <= 4;
        let biased = self.bias.is_some() || self.scale.is_some() && !self.scales_input;
        let inputs = input.planes();
        let size = Size {
            outputs: elements,
            positions: columns * rows * samples * phases[0] * phases[1],
            depth: taps[0] * taps[1] * inputs,
            columns,
        };
        let rows_of_four = write != Write::Elements
            && !by_sample
            && phases == [1, 1]
            && columns.is_multiple_of(4)
            && output.border == 0;
        let quad = match write {
            Write::Elements => (by_sample && output.plane() == 1).then_some(Quad::Element),
            _ if by_sample => (output.plane() == 1).then_some(Quad::Channels),
            _ => rows_of_four.then_some(Quad::Row),
        };
        let direct = |positions: usize, blocks: usize, split: usize, shared: bool| {
            let positions = positions.min(columns.next_power_of_two());
            // Rows of plain images are written by whole quads.
            let positions = if rows_of_four { positions.max(4) } else { positions };
            let blocks = if elements > 1 { blocks } else { 1 };
            let (taps, step) = if together { (taps[1], step) } else { (1, 0) };
            // Four neighbouring invocations must have the same channels: as many elements as there are of them.
            let alike = (columns.div_ceil(positions) * rows * samples).is_multiple_of(4);
            let shared = shared && alike && elements.is_multiple_of(4);
            let blocks = if shared { 4 } else { blocks };
            let variant =
                Variant { positions, blocks, split, shared, taps, step, scalar, checked, biased, write };
            (Choice::Direct { positions, blocks, split, shared }, Kernel::Direct(variant))
        };
        let (choice, kernel) = match choose(&size) {
            Choice::Direct { positions, blocks, split, shared } => direct(positions, blocks, split, shared),
            tiled @ Choice::Tiled(tiling) if !scalar && write == Write::Elements => {
                (tiled, Kernel::Tiled(tiling.tile(inputs, biased)))
            }
            Choice::Tiled(_) => direct(4, 1, 1, false),
        };
        // Of a kernel: elements of channels in a group, and columns of taps that are packed together.
        let (blocks, tap_columns) = match &kernel {
            Kernel::Direct(variant) => (variant.blocks, variant.taps),
            Kernel::Tiled(tile) => (tile.depth(), 1),
        };
        let groups = elements.div_ceil(blocks);
        let tap_groups = taps[1] / tap_columns;
        let places = groups * phases[0] * phases[1];
        let lanes = if write == Write::Narrow { 1 } else { 4 * blocks };
        let input_lanes = if scalar { 1 } else { 4 };
        let numbers = places
            * taps[0]
            * taps[1]
            * inputs
            * if write == Write::Narrow { 4 } else { lanes * input_lanes };
        let weights = numbers / 4;
        let biases = if biased { places * blocks } else { 0 };
        let column = self.step();
        let [in_x, in_y, in_z] =
            if by_sample { [input.sample(), 0, 0] } else { [column, column * input.row(), input.sample()] };
        let apart = if self.spreads { [phases[0], phases[1]] } else { [1, 1] };
        let [out_x, out_y, out_z] = if by_sample {
            [output.sample(), 0, 0]
        } else {
            [apart[1], apart[0] * output.row(), output.sample()]
        };
        let [limit_y, limit_x] =
            if by_sample { [phases[0], batch * phases[1]] } else { [self.to[1], self.to[2]] };
        let [pad, stride] = if self.spreads { [self.padding, self.stride] } else { [0, 1] };
        let words = [
            columns,
            rows,
            samples,
            groups,
            phases[0],
            phases[1],
            pad,
            stride,
            taps[0],
            tap_groups,
            inputs,
            first[0] as usize,
            first[1] as usize,
            in_x,
            in_y,
            in_z,
            input.row(),
            input.plane(),
            input.origin(),
            if by_sample { 0 } else { column },
            input.height,
            input.width,
            out_x,
            out_y,
            out_z,
            output.row(),
            output.plane(),
            output.origin(),
            limit_y,
            limit_x,
            if write == Write::Elements { output.planes() } else { self.to[0] },
            weights,
        ];
        let params = [slope].into_iter().chain(words.map(|word| word as u32)).collect();
        let extent = match &kernel {
            Kernel::Direct(variant) => Extent::Elements(
                columns.div_ceil(variant.positions) * rows * samples * places * variant.split,
            ),
            Kernel::Tiled(tile) => Extent::Rows((columns * rows * samples).div_ceil(tile.width()) * places),
        };
        let scale = self.scale.map_or(0, |scale| scale.scale);
        let scaled = match (self.scale, self.scales_input) {
            (None, _) => 0,
            (Some(_), false) => 1,
            (Some(_), true) => 2,
        };
        let source = &self.source;
        let pack = [
            weights,
            blocks,
            phases[0],
            phases[1],
            taps[0],
            tap_groups,
            tap_columns,
            inputs,
            input_lanes,
            usize::from(write == Write::Narrow),
            self.to[0],
            self.from[0],
            self.kernel[0],
            self.kernel[1],
            pad,
            if self.spreads { stride } else { 0 },
            usize::from(self.sums),
            source.offset,
            source.output,
            source.input,
            source.kernel[0],
            source.kernel[1],
            scaled,
            scale,
        ]
        .map(|word| word as u32);
        let [bias, bias_stride] = self.bias.unwrap_or_default();
        // Of an image made by a linear layer every element has a bias of its own.
        let own = bias_stride > 1;
        let pack_bias = [
            biases,
            weights,
            blocks,
            phases[0] * phases[1],
            self.to[0],
            usize::from(self.bias.is_some()),
            bias,
            bias_stride,
            usize::from(own),
            usize::from(self.scale.is_some()),
            scale,
            self.scale.map_or(0, |scale| scale.shift),
        ]
        .map(|word| word as u32);
        #[cfg(target_arch = "wasm32")]
        let _ = choice;
        Recipe {
            kernel,
            #[cfg(not(target_arch = "wasm32"))]
            choice: (size, choice),
            quad,
            params,
            extent,
            pack,
            pack_bias,
            weights,
            biases,
        }
    }
}
