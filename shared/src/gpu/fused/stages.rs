//! A plan as the fused kernels run it: every stage one kernel forward and one backward, with the activation
//! that follows it, and every value with a layout.

use super::correlation::{Correlation, Scale, Shape};
use super::geometry::Geometry;
use crate::network::{Activation, Op, Operator, Plan};

/// What a stage computes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Work {
    /// A linear layer or a convolution of either direction.
    Correlate(Correlation),
    /// Averages over windows `[height, width]`.
    AveragePool([usize; 2]),
    UpsampleNearest,
    UpsampleBilinear,
    ScaleShift {
        scale: usize,
        shift: usize,
    },
    /// The input itself, or what the stage's activation makes of it.
    Copy,
    /// The sum of two inputs.
    Add,
    /// A copy of the numbers, in order, into another layout.
    Reshape,
}

/// One kernel forward, one backward.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub(super) work: Work,
    /// The values it reads: two for a sum, else one.
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
    /// Applied to the result.
    pub(super) activation: Option<Activation>,
}

/// A network as stages on numbered values. Value 0 is the input.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stages {
    pub(super) values: Vec<Geometry>,
    pub(super) stages: Vec<Stage>,
    pub(super) output: usize,
}

/// Whether the derivative of an activation can be told from its result.
pub(super) fn invertible(activation: Activation) -> bool {
    match activation {
        Activation::LeakyRelu(slope) => slope >= 0.0,
        Activation::Tanh => true,
        Activation::Silu => false,
    }
}

impl Stages {
    pub(super) fn new(plan: &Plan, input: &[usize]) -> Stages {
        let mut builder = StageBuilder::new(plan, input);
        for op in &plan.ops {
            builder.push(plan, op);
        }
        builder.output = builder.names[plan.output];
        builder.fuse();
        // What is read as plain rows is written by a correlation or a reshape, and read by no other stage.
        let made = builder.stages.iter().find(|stage| stage.output == builder.output);
        let correlates = made.is_some_and(|stage| matches!(stage.work, Work::Correlate(_)));
        if !correlates || builder.uses(builder.output) > 0 {
            let shape = builder.shapes[builder.output];
            builder.output = builder.stage(Work::Reshape, vec![builder.output], shape);
        }
        builder.drop_unused();
        builder.lay_out()
    }
}

/// Stages while they are made.
struct StageBuilder {
    /// The shape of each value.
    shapes: Vec<Shape>,
    stages: Vec<Stage>,
    /// The number here of each of the plan's values.
    names: Vec<usize>,
    /// The shape in which each of the plan's values is wanted by those who read it.
    wanted: Vec<Option<Shape>>,
    output: usize,
}

impl StageBuilder {
    fn new(plan: &Plan, input: &[usize]) -> StageBuilder {
        let mut wanted: Vec<Option<Shape>> = vec![None; plan.values.len()];
        for op in plan.ops.iter().rev() {
            match op {
                Op::Apply { operator, input, output, .. } => {
                    let want = input_shape(operator, wanted[*output], plan.values[*input]);
                    wanted[*input] = want.or(wanted[*input]);
                }
                Op::Add { inputs, output, .. } => {
                    for &input in inputs {
                        wanted[input] = wanted[*output].or(wanted[input]);
                    }
                }
            }
        }
        let shape = match *input {
            [channels, height, width] => [channels, height, width],
            _ => [plan.values[0], 1, 1],
        };
        let mut names = vec![0; plan.values.len()];
        names[0] = 0;
        StageBuilder { shapes: vec![shape], stages: Vec::new(), names, wanted, output: 0 }
    }

    /// A stage that writes a new value.
    fn stage(&mut self, work: Work, inputs: Vec<usize>, shape: Shape) -> usize {
        self.shapes.push(shape);
        let output = self.shapes.len() - 1;
        self.stages.push(Stage { work, inputs, output, activation: None });
        output
    }

    /// `value` under this shape, and not as the caller's plain rows.
    fn shaped(&mut self, value: usize, shape: Shape) -> usize {
        if value != 0 && self.shapes[value] == shape {
            return value;
        }
        // Whoever wanted the same before has made it.
        let same = |stage: &&Stage| {
            stage.work == Work::Reshape && stage.inputs == [value] && self.shapes[stage.output] == shape
        };
        match self.stages.iter().find(same) {
            Some(stage) => stage.output,
            None => self.stage(Work::Reshape, vec![value], shape),
        }
    }

    fn push(&mut self, plan: &Plan, op: &Op) {
        match op {
            Op::Apply { operator, input, output, .. } => {
                let value = self.names[*input];
                let len = plan.values[*output];
                let wanted = self.wanted[*output];
                let shape = input_shape(operator, wanted, plan.values[*input]).unwrap_or(self.shapes[value]);
                self.names[*output] = match *operator {
                    Operator::Linear { inputs, weight, bias, .. } => {
                        let to = wanted.unwrap_or([len, 1, 1]);
                        // A caller's rows are vectors to whom they suit; an image is made from a vector.
                        let vector = [inputs, 1, 1];
                        let value =
                            if to[1..] == [1, 1] || value == 0 { value } else { self.shaped(value, vector) };
                        let from = if value == 0 { vector } else { self.shapes[value] };
                        let correlation = Correlation::linear(from, to, weight, bias);
                        self.stage(Work::Correlate(correlation), vec![value], to)
                    }
                    Operator::Conv2d(ref c) => {
                        let value = self.image(value, shape);
                        let correlation = Correlation::window(c, c.bias);
                        let to = correlation.to;
                        self.stage(Work::Correlate(correlation), vec![value], to)
                    }
                    Operator::ConvTranspose2d(ref c) => {
                        let value = self.image(value, shape);
                        let correlation = Correlation::spread(c, c.bias);
                        let to = correlation.to;
                        self.stage(Work::Correlate(correlation), vec![value], to)
                    }
                    Operator::UpsampledConv2d(ref c) => {
                        let value = self.image(value, shape);
                        let correlation = Correlation::upsampled_window(c, c.bias);
                        let to = correlation.to;
                        self.stage(Work::Correlate(correlation), vec![value], to)
                    }
                    Operator::UpsampleNearest { channels, height, width } => {
                        let value = self.shaped(value, shape);
                        self.stage(Work::UpsampleNearest, vec![value], [channels, 2 * height, 2 * width])
                    }
                    Operator::UpsampleBilinear { channels, height, width } => {
                        let value = self.shaped(value, shape);
                        self.stage(Work::UpsampleBilinear, vec![value], [channels, 2 * height, 2 * width])
                    }
                    Operator::AveragePool { channels, height, width, kernel } => {
                        let value = self.shaped(value, shape);
                        let to = [channels, height / kernel[0], width / kernel[1]];
                        self.stage(Work::AveragePool(kernel), vec![value], to)
                    }
                    Operator::Activation(activation) => {
                        let value = self.shaped(value, shape);
                        let output = self.stage(Work::Copy, vec![value], shape);
                        self.last().activation = Some(activation);
                        output
                    }
                    Operator::ScaleShift { scale, shift, .. } => {
                        let value = self.shaped(value, shape);
                        self.stage(Work::ScaleShift { scale, shift }, vec![value], shape)
                    }
                };
            }
            Op::Add { inputs: [a, b], output, .. } => {
                let shape = self.wanted[*output].unwrap_or(self.shapes[self.names[*a]]);
                let inputs = [a, b].map(|value| self.shaped(self.names[*value], shape)).to_vec();
                self.names[*output] = self.stage(Work::Add, inputs, shape);
            }
        }
    }

    /// `value` for a convolution, which can read the caller's rows as they are.
    fn image(&mut self, value: usize, shape: Shape) -> usize {
        if value == 0 && self.shapes[0] == shape { 0 } else { self.shaped(value, shape) }
    }

    fn last(&mut self) -> &mut Stage {
        let last = self.stages.len() - 1;
        &mut self.stages[last]
    }

    /// How often a value is read by stages.
    fn uses(&self, value: usize) -> usize {
        self.stages.iter().flat_map(|stage| &stage.inputs).filter(|&&input| input == value).count()
    }

    /// The only stage that reads the output of stage `index`, if it directly follows.
    fn follower(&self, index: usize) -> Option<&Stage> {
        let output = self.stages[index].output;
        let next = self.stages.get(index + 1)?;
        (next.inputs == [output] && self.uses(output) == 1 && output != self.output).then_some(next)
    }

    /// Merge stages with those that follow them.
    fn fuse(&mut self) {
        let mut index = 0;
        while index + 1 < self.stages.len() {
            let Some(next) = self.follower(index).cloned() else {
                index += 1;
                continue;
            };
            let stage = &self.stages[index];
            let plain = stage.activation.is_none();
            let merged = match (&stage.work, &next.work) {
                (Work::Correlate(conv), Work::ScaleShift { scale, shift })
                    if plain && conv.scale.is_none() =>
                {
                    let scale = Some(Scale { scale: *scale, shift: *shift });
                    Some((Work::Correlate(Correlation { scale, ..conv.clone() }), next.activation))
                }
                (Work::Correlate(_) | Work::Add, Work::Copy)
                    if plain && self.may_fuse(&stage.work, &next) =>
                {
                    Some((stage.work.clone(), next.activation))
                }
                _ => None,
            };
            match merged {
                Some((work, activation)) => {
                    let stage = &mut self.stages[index];
                    *stage = Stage { work, activation, output: next.output, inputs: stage.inputs.clone() };
                    self.stages.remove(index + 1);
                }
                None => index += 1,
            }
        }
    }

    /// Whether the activation of `copy` can be the last part of `work`: those who read its result must be able
    /// to take its gradient along.
    fn may_fuse(&self, work: &Work, copy: &Stage) -> bool {
        if copy.output == self.output {
            return matches!(work, Work::Correlate(_)) && copy.activation.is_some_and(invertible);
        }
        let mut readers = self.stages.iter().filter(|stage| stage.inputs.contains(&copy.output));
        readers.all(|stage| !matches!(stage.work, Work::Copy | Work::Reshape))
    }

    /// Forget the values that merged stages handed on, and number the others anew.
    fn drop_unused(&mut self) {
        let mut names = vec![0; self.shapes.len()];
        let mut shapes = vec![self.shapes[0]];
        for stage in &mut self.stages {
            for input in &mut stage.inputs {
                *input = names[*input];
            }
            names[stage.output] = shapes.len();
            shapes.push(self.shapes[stage.output]);
            stage.output = names[stage.output];
        }
        self.output = names[self.output];
        self.shapes = shapes;
    }

    /// Give every value its layout.
    fn lay_out(self) -> Stages {
        let mut borders = vec![0; self.shapes.len()];
        for stage in &self.stages {
            if let Work::Correlate(correlation) = &stage.work {
                let [before, after] = correlation.borders();
                let input = stage.inputs[0];
                borders[input] = borders[input].max(before);
                borders[stage.output] = borders[stage.output].max(after);
            }
        }
        // Kernels that go through whole buffers need the same layout on both sides.
        let mut changed = true;
        while changed {
            changed = false;
            for stage in self.stages.iter().filter(|stage| matches!(stage.work, Work::Copy | Work::Add)) {
                let all = || stage.inputs.iter().chain([&stage.output]);
                let most = all().map(|&value| borders[value]).max().unwrap_or(0);
                for &value in all() {
                    changed |= borders[value] != most;
                    borders[value] = most;
                }
            }
        }
        let geometry = |(value, (&shape, &border)): (usize, (&Shape, &usize))| {
            if value != 0 && value != self.output {
                Geometry::blocks(shape, border)
            } else if shape[1..] == [1, 1] {
                Geometry::vector(shape[0])
            } else {
                Geometry::plain(shape)
            }
        };
        let values = self.shapes.iter().zip(&borders).enumerate().map(geometry).collect();
        Stages { values, stages: self.stages, output: self.output }
    }
}

/// The shape that an operator wants its input in, if it wants any. `output` is the shape that its own output is
/// wanted in, `len` its input's length.
fn input_shape(operator: &Operator, output: Option<Shape>, len: usize) -> Option<Shape> {
    match *operator {
        Operator::Linear { .. } => None,
        Operator::Conv2d(c) => Some([c.in_channels, c.height, c.width]),
        Operator::UpsampledConv2d(c) => Some([c.in_channels, c.height / 2, c.width / 2]),
        Operator::ConvTranspose2d(c) => Some([c.out_channels, c.out_height, c.out_width]),
        Operator::UpsampleNearest { channels, height, width }
        | Operator::UpsampleBilinear { channels, height, width }
        | Operator::AveragePool { channels, height, width, .. } => Some([channels, height, width]),
        Operator::Activation(_) => output,
        Operator::ScaleShift { channels, .. } => {
            output.filter(|shape| shape[0] == channels).or(Some([channels, 1, len / channels]))
        }
    }
}
