//! A correlation as the GPU runs it: which kernel, and the parameters of the kernel and of the packing of its weights.

use super::correlation::{Correlation, Shape};
use super::finish::Quad;
use super::geometry::Geometry;
use super::tiled::Tile;
use crate::gpu::choice::{Choice, Size};
use crate::gpu::dispatch::{Extent, word};
use crate::gpu::kernels::{CorrelationParams, PackBiasParams, PackParams};

/// A kernel in which each invocation reads what it needs: `correlate.wgsl` with its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Variant {
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

/// How a kernel writes its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Write {
    /// Elements of four channels.
    Elements,
    /// Four channels, one by one.
    Channels,
    /// One channel.
    Narrow,
}

/// The kernel of a correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CorrelationKernel {
    /// Each invocation reads what it needs.
    Direct(Variant),
    /// Workgroups share what they read.
    Tiled(Tile),
}

/// Everything that running a correlation and packing its weights takes.
pub(super) struct Launch {
    pub(super) kernel: CorrelationKernel,
    /// The size that the kernel was chosen by, and what was chosen.
    pub(super) choice: (Size, Choice),
    pub(super) params: CorrelationParams,
    /// How a step can be taken with the results, were they the gradient of a chain's state: four elements at a
    /// time, so that each block of random numbers is drawn once.
    pub(super) quad: Option<Quad>,
    /// Invocations of a direct kernel, workgroups of a tiled one.
    pub(super) extent: Extent,
    pub(super) pack: PackParams,
    /// Parameters of the packing of the bias; none where sums start at zero. It lies behind the weights.
    pub(super) pack_bias: Option<PackBiasParams>,
}

/// How the outputs of a correlation are counted: columns, rows and samples of each phase. Where each sample has one
/// place, its neighbours are the other samples.
struct Places {
    by_sample: bool,
    columns: usize,
    rows: usize,
    samples: usize,
    phases: [usize; 2],
    taps: [usize; 2],
}

impl Places {
    fn new(correlation: &Correlation, batch: usize) -> Places {
        let grid = correlation.grid();
        let by_sample = grid == [1, 1];
        let [rows, columns] = if by_sample { [1, batch] } else { grid };
        let samples = if by_sample { 1 } else { batch };
        let (phases, taps) = (correlation.phases(), correlation.taps());
        Places { by_sample, columns, rows, samples, phases, taps }
    }

    /// Places of one phase.
    fn positions(&self) -> usize {
        self.columns * self.rows * self.samples
    }

    /// Phases of rows and columns.
    fn all_phases(&self) -> usize {
        self.phases[0] * self.phases[1]
    }
}

/// In which groups a kernel reads weights.
struct Packing {
    /// Elements of channels in a group, and groups.
    blocks: usize,
    groups: usize,
    /// Columns of taps that are packed together.
    together: usize,
    /// Elements of packed weights.
    weights: usize,
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

    /// The launch for a batch between these layouts. `slope` is a leaky ReLU's, for the tail; `choose` chooses a kernel.
    pub(super) fn launch(
        &self,
        batch: usize,
        [input, output]: [&Geometry; 2],
        slope: f32,
        choose: impl FnOnce(&Size) -> Choice,
    ) -> Launch {
        let places = Places::new(self, batch);
        let write = match (output.lanes, self.to[0]) {
            (1, 1) => Write::Narrow,
            (1, _) => Write::Channels,
            _ => Write::Elements,
        };
        let elements = if write == Write::Narrow { 1 } else { self.to[0].div_ceil(4) };
        let size = Size {
            outputs: elements,
            positions: places.positions() * places.all_phases(),
            depth: places.taps[0] * places.taps[1] * input.planes(),
            columns: places.columns,
        };
        let (choice, kernel) = self.kernel(&places, [input, output], write, elements, choose(&size));
        let packing = self.packing(&places, input, write, elements, &kernel);
        let extent = match &kernel {
            CorrelationKernel::Direct(variant) => Extent::Elements(
                places.columns.div_ceil(variant.positions)
                    * places.rows
                    * places.samples
                    * packing.groups
                    * places.all_phases()
                    * variant.split,
            ),
            CorrelationKernel::Tiled(tile) => {
                let tiles = places.positions().div_ceil(tile.width());
                Extent::Rows(tiles * packing.groups * places.all_phases())
            }
        };
        Launch {
            kernel,
            choice: (size, choice),
            params: self.params(&places, [input, output], write, &packing, slope, batch),
            quad: self.quad(&places, output, write),
            extent,
            pack: self.pack(&places, input, write, &packing),
            pack_bias: self.biased().then(|| self.pack_bias(&places, &packing)),
        }
    }

    /// Whether sums start at a bias.
    fn biased(&self) -> bool {
        self.bias.is_some() || self.scale.is_some() && !self.scales_input
    }

    /// Whether rows of plain images are written, which is done by whole quads.
    fn writes_rows_of_four(&self, places: &Places, output: &Geometry, write: Write) -> bool {
        write != Write::Elements
            && !places.by_sample
            && places.phases == [1, 1]
            && places.columns.is_multiple_of(4)
            && output.border == 0
    }

    fn quad(&self, places: &Places, output: &Geometry, write: Write) -> Option<Quad> {
        let vector = output.plane() == 1;
        match write {
            Write::Elements => (places.by_sample && vector).then_some(Quad::Element),
            _ if places.by_sample => vector.then_some(Quad::Channels),
            _ => self.writes_rows_of_four(places, output, write).then_some(Quad::Row),
        }
    }

    /// The kernel that comes next to `choice`, and the choice that it is.
    fn kernel(
        &self,
        places: &Places,
        [input, output]: [&Geometry; 2],
        write: Write,
        elements: usize,
        choice: Choice,
    ) -> (Choice, CorrelationKernel) {
        let scalar = input.lanes == 1;
        let (positions, blocks, split, shared) = match choice {
            Choice::Direct { positions, blocks, split, shared } => (positions, blocks, split, shared),
            Choice::Tiled(tiling) if !scalar && write == Write::Elements => {
                let tile = Tile::new(tiling, input.planes(), self.biased());
                return (choice, CorrelationKernel::Tiled(tile));
            }
            Choice::Tiled(_) => (4, 1, 1, false),
        };
        let positions = positions.min(places.columns.next_power_of_two());
        let positions =
            if self.writes_rows_of_four(places, output, write) { positions.max(4) } else { positions };
        let step = if places.by_sample { 0 } else { self.step() };
        let together = matches!(step, 1 | 2) && places.taps[1] <= 4;
        let (taps, step) = if together { (places.taps[1], step) } else { (1, 0) };
        // Four neighbouring invocations must have the same channels: as many elements as there are of them.
        let lines = places.columns.div_ceil(positions) * places.rows * places.samples;
        let shared = shared && lines.is_multiple_of(4) && elements.is_multiple_of(4);
        let blocks = match (shared, elements) {
            (true, _) => 4,
            (false, 1) => 1,
            _ => blocks,
        };
        let variant = Variant {
            positions,
            blocks,
            split,
            shared,
            taps,
            step,
            scalar,
            checked: scalar && self.border() > 0,
            biased: self.biased(),
            write,
        };
        (Choice::Direct { positions, blocks, split, shared }, CorrelationKernel::Direct(variant))
    }

    fn packing(
        &self,
        places: &Places,
        input: &Geometry,
        write: Write,
        elements: usize,
        kernel: &CorrelationKernel,
    ) -> Packing {
        let (blocks, together) = match kernel {
            CorrelationKernel::Direct(variant) => (variant.blocks, variant.taps),
            CorrelationKernel::Tiled(tile) => (tile.depth(), 1),
        };
        let groups = elements.div_ceil(blocks);
        // Elements of weights for each tap and element of inputs.
        let each = if write == Write::Narrow { 1 } else { blocks * input.lanes };
        let weights = groups * places.all_phases() * places.taps[0] * places.taps[1] * input.planes() * each;
        Packing { blocks, groups, together, weights }
    }

    fn params(
        &self,
        places: &Places,
        [input, output]: [&Geometry; 2],
        write: Write,
        packing: &Packing,
        slope: f32,
        batch: usize,
    ) -> CorrelationParams {
        let Places { by_sample, columns, rows, samples, phases, taps } = *places;
        let column = self.step();
        let [in_x, in_y, in_z] =
            if by_sample { [input.sample(), 0, 0] } else { [column, column * input.row(), input.sample()] };
        let [out_x, out_y, out_z] = match (by_sample, self.spreads) {
            (true, _) => [output.sample(), 0, 0],
            (false, true) => [phases[1], phases[0] * output.row(), output.sample()],
            (false, false) => [1, output.row(), output.sample()],
        };
        let [limit_y, limit_x] =
            if by_sample { [phases[0], batch * phases[1]] } else { [self.to[1], self.to[2]] };
        let [padding, stride] = if self.spreads { [self.padding, self.stride] } else { [0, 1] };
        let [first_y, first_x] = self.first().map(|first| first as i32);
        CorrelationParams {
            slope,
            columns: word(columns),
            rows: word(rows),
            samples: word(samples),
            groups: word(packing.groups),
            phases_y: word(phases[0]),
            phases_x: word(phases[1]),
            padding: word(padding),
            stride: word(stride),
            taps: word(taps[0]),
            tap_groups: word(taps[1] / packing.together),
            inputs: word(input.planes()),
            first_y,
            first_x,
            in_x: word(in_x),
            in_y: word(in_y),
            in_z: word(in_z),
            in_row: word(input.row()),
            in_plane: word(input.plane()),
            in_origin: word(input.origin()),
            in_step: word(if by_sample { 0 } else { column }),
            height: word(input.height),
            width: word(input.width),
            out_x: word(out_x),
            out_y: word(out_y),
            out_z: word(out_z),
            out_row: word(output.row()),
            out_plane: word(output.plane()),
            out_origin: word(output.origin()),
            limit_y: word(limit_y),
            limit_x: word(limit_x),
            outputs: word(if write == Write::Elements { output.planes() } else { self.to[0] }),
            biases: word(packing.weights),
        }
    }

    fn pack(&self, places: &Places, input: &Geometry, write: Write, packing: &Packing) -> PackParams {
        let (source, [padding, stride]) =
            (&self.source, if self.spreads { [self.padding, self.stride] } else { [0, 0] });
        PackParams {
            count: word(packing.weights),
            blocks: word(packing.blocks),
            phases_y: word(places.phases[0]),
            phases_x: word(places.phases[1]),
            taps: word(places.taps[0]),
            tap_groups: word(places.taps[1] / packing.together),
            together: word(packing.together),
            inputs: word(input.planes()),
            lanes: word(input.lanes),
            narrow: (write == Write::Narrow).into(),
            out_channels: word(self.to[0]),
            in_channels: word(self.from[0]),
            kernel_y: word(self.kernel[0]),
            kernel_x: word(self.kernel[1]),
            padding: word(padding),
            stride: word(stride),
            sums: self.sums.into(),
            source: word(source.offset),
            source_output: word(source.output),
            source_input: word(source.input),
            source_y: word(source.kernel[0]),
            source_x: word(source.kernel[1]),
            scaled: match (self.scale, self.scales_input) {
                (None, _) => 0,
                (Some(_), false) => 1,
                (Some(_), true) => 2,
            },
            scale: word(self.scale.map_or(0, |scale| scale.scale)),
        }
    }

    fn pack_bias(&self, places: &Places, packing: &Packing) -> PackBiasParams {
        let [bias, bias_stride] = self.bias.unwrap_or_default();
        PackBiasParams {
            count: word(packing.groups * places.all_phases() * packing.blocks),
            first: word(packing.weights),
            blocks: word(packing.blocks),
            phases: word(places.all_phases()),
            out_channels: word(self.to[0]),
            has_bias: self.bias.is_some().into(),
            bias: word(bias),
            bias_stride: word(bias_stride),
            // Of an image made by a linear layer every element has a bias of its own.
            by_phase: (bias_stride > 1).into(),
            scaled: self.scale.is_some().into(),
            scale: word(self.scale.map_or(0, |scale| scale.scale)),
            shift: word(self.scale.map_or(0, |scale| scale.shift)),
        }
    }
}

#[cfg(feature = "workbench")]
impl CorrelationKernel {
    /// Kernels enough to have everything in their text that a network may need: every window by one choice, every choice
    /// on one window, and every tile.
    pub(super) fn all() -> Vec<CorrelationKernel> {
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
                    all.push(CorrelationKernel::Direct(Variant {
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
                    }));
                }
            }
        }
        all.extend(Choice::all().into_iter().filter_map(|choice| match choice {
            Choice::Tiled(tiling) => Some(CorrelationKernel::Tiled(Tile::new(tiling, 4, true))),
            Choice::Direct { .. } => None,
        }));
        all
    }

    /// The ways in which it can take a step with what it writes.
    pub(super) fn quads(&self) -> &'static [Quad] {
        let CorrelationKernel::Direct(variant) = self else { return &[] };
        match (variant.write, variant.positions, variant.step) {
            (Write::Elements, ..) => &[Quad::Element],
            (_, 4.., 0) => &[Quad::Row, Quad::Channels],
            (_, 4.., _) => &[Quad::Row],
            (.., 0) => &[Quad::Channels],
            _ => &[],
        }
    }
}
