//! The WGSL of a correlation's variant: `correlate.wgsl`, what stands before it, and the entry point with the sums
//! written out.
//!
//! Every number of a sum has a name of its own, and is assigned once: software adapters keep variables in
//! memory and do not unroll loops.

use super::finish::{Quad, Tail};
use super::geometry::COMPONENTS;
use super::launch::{Variant, Write};
use crate::gpu::kernels::CORRELATE;

/// The variant's module without the functions it calls.
pub(super) fn source(variant: &Variant, tail: &Tail) -> String {
    let element = |single: bool| if single { "f32" } else { "vec4<f32>" };
    let (input, output) = (element(variant.scalar), element(variant.write != Write::Elements));
    let Variant { positions, blocks, split, .. } = *variant;
    let piece = variant.piece();
    let mut text = String::new();
    line!(text, "alias In = {input};");
    line!(text, "alias Out = {output};");
    line!(text, "const POSITIONS = {positions}u;");
    line!(text, "const PIECE = {piece}u;");
    if split > 1 {
        let (part, parts) = (element(variant.narrow()), 64 * positions * blocks);
        line!(text, "var<workgroup> parts: array<{part}, {parts}>;");
    }
    text += CORRELATE;
    text += "\n@compute @workgroup_size(64)\nfn main(\n";
    text += "@builtin(global_invocation_id) id: vec3<u32>,\n";
    text += "@builtin(local_invocation_index) thread: u32,\n";
    text += "@builtin(num_workgroups) groups: vec3<u32>,\n";
    if variant.shared {
        text += "@builtin(subgroup_invocation_id) invocation: u32,\n";
    }
    text += ") {\n";
    line!(text, "let outputs = outputs_of(element_index(id, groups) / {split}u);");
    if split == 1 {
        // Invocations that meet at a barrier must not leave before.
        text += "if (outputs.group >= params.groups) { return; }\n";
    }
    text += "let window = window_of(outputs);\n";
    // Copies, because a compiler may read a parameter again wherever it is named.
    text += "let in_x = params.in_x;\nlet in_row = params.in_row;\nlet in_plane = params.in_plane;\n";
    variant.begin_sums(&mut text);
    variant.sum_up(&mut text);
    if split > 1 {
        variant.join_parts(&mut text);
    }
    variant.write_outputs(&mut text, tail.quad());
    text + "}\n"
}

impl Variant {
    fn narrow(&self) -> bool {
        self.write == Write::Narrow
    }

    /// Elements of weights for one tap.
    fn weights(&self) -> usize {
        match self.narrow() {
            true => 1,
            false => self.blocks * if self.scalar { 1 } else { 4 },
        }
    }

    /// Elements of weights that are read at a time.
    fn piece(&self) -> usize {
        self.taps * self.weights()
    }

    /// The sums of an invocation: block and position of each. One number, or four channels.
    fn sums(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let positions = self.positions;
        (0..self.blocks).flat_map(move |o| (0..positions).map(move |p| (o, p)))
    }

    /// Where the input of a position and a tap lies, behind the first of the group: in columns, or in positions where
    /// those are no columns.
    fn offset(&self, position: usize, tap: usize) -> usize {
        if self.step > 0 { position * self.step + tap } else { position }
    }

    /// All inputs that an invocation reads for a group of taps.
    fn offsets(&self) -> Vec<usize> {
        let last = self.offset(self.positions - 1, self.taps - 1);
        let read = |k: &usize| (0..self.positions).any(|p| (0..self.taps).any(|t| self.offset(p, t) == *k));
        (0..=last).filter(read).collect()
    }

    fn begin_sums(&self, text: &mut String) {
        let Variant { blocks, biased, shared, split, .. } = *self;
        let zero = if self.narrow() { "0.0" } else { "vec4<f32>(0.0)" };
        if shared {
            *text += "let turn = invocation % 4u;\n";
        }
        for o in 0..blocks {
            match shared {
                true => line!(text, "let block_{o} = {o}u ^ turn;"),
                false => line!(text, "let block_{o} = {o}u;"),
            }
            let first = if self.narrow() { ".x" } else { "" };
            match biased {
                true => line!(
                    text,
                    "let bias_{o} = weights[params.biases + outputs.place * {blocks}u + block_{o}]{first};"
                ),
                false => line!(text, "let bias_{o} = {zero};"),
            }
        }
        for (o, p) in self.sums() {
            match split {
                1 => line!(text, "var sum_{o}_{p} = bias_{o};"),
                _ => line!(text, "var sum_{o}_{p} = {zero};"),
            }
        }
    }

    /// The loops over rows and columns of taps and over inputs, or one loop over an invocation's part of them.
    fn sum_up(&self, text: &mut String) {
        let (split, piece, taps) = (self.split, self.piece(), self.taps);
        if split == 1 {
            *text += "var weight = window.weight;\n";
            *text += "for (var ty = 0u; ty < window.taps; ty++) {\n";
        } else {
            line!(text, "let lane = thread % {split}u;");
            *text += "let terms = window.taps * window.tap_groups * window.inputs;\n";
            line!(text, "for (var q = lane; q < terms; q += {split}u) {{");
            *text += "let ty = q / window.inputs / window.tap_groups;\n";
            *text += "let tx = q / window.inputs % window.tap_groups;\n";
        }
        if self.checked {
            *text += "let at_y = window.first_row + i32(ty);\n";
            *text += "let in_y = at_y >= 0 && at_y < i32(params.height);\n";
        }
        if split == 1 {
            *text += "for (var tx = 0u; tx < window.tap_groups; tx++) {\n";
        }
        line!(text, "var at = window.start + ty * in_row + tx * {taps}u;");
        if self.checked {
            self.check_columns(text);
        }
        if split == 1 {
            *text += "for (var c = 0u; c < window.inputs; c++) {\n";
        } else {
            *text += "at += q % window.inputs * in_plane;\n";
            line!(text, "let weight = window.weight + q * {piece}u;");
        }
        self.read_inputs(text);
        self.read_weights(text);
        self.multiply(text);
        if split == 1 {
            *text += "at += in_plane;\n";
            line!(text, "weight += {piece}u;");
            *text += "}}}\n";
        } else {
            *text += "}\n";
        }
    }

    fn check_columns(&self, text: &mut String) {
        for k in self.offsets() {
            let taps = self.taps;
            match self.step {
                0 => line!(
                    text,
                    "let at_{k} = window.first_column + i32(tx) * {taps} + {k} * i32(params.in_step);"
                ),
                _ => line!(text, "let at_{k} = window.first_column + i32(tx) * {taps} + {k};"),
            }
            line!(text, "let in_{k} = in_y && at_{k} >= 0 && at_{k} < i32(params.width);");
        }
    }

    fn read_inputs(&self, text: &mut String) {
        for k in self.offsets() {
            let input = if self.step > 0 { format!("x[at + {k}u]") } else { format!("x[at + {k}u * in_x]") };
            match self.checked {
                true => line!(text, "let x_{k} = select(0.0, {input}, in_{k});"),
                false => line!(text, "let x_{k} = {input};"),
            }
        }
    }

    fn read_weights(&self, text: &mut String) {
        let each = self.weights();
        for (t, k) in (0..self.taps).flat_map(|t| (0..each).map(move |k| (t, k))) {
            let at = t * each + k;
            if !self.shared {
                line!(text, "let w_{t}_{k} = weights[weight + {at}u];");
                continue;
            }
            // Each of four invocations reads the weights of another element, and has the others' by swaps: what it
            // calls element o is o ^ turn.
            let quarter = each / 4;
            match (k / quarter, k % quarter) {
                (0, own) => line!(text, "let w_{t}_{own} = weights[weight + turn * {quarter}u + {at}u];"),
                (o, own) => {
                    let swap = ["X", "Y", "Diagonal"][o - 1];
                    line!(text, "let w_{t}_{k} = quadSwap{swap}(w_{t}_{own});");
                }
            }
        }
    }

    fn multiply(&self, text: &mut String) {
        for (o, p) in self.sums() {
            let mut sum = format!("sum_{o}_{p} = sum_{o}_{p}");
            for t in 0..self.taps {
                let x = self.offset(p, t);
                // Numbers of the weights of the four input channels.
                let [a, b, c, d] = [0, 1, 2, 3].map(|lane| 4 * o + lane);
                sum += &match (self.narrow(), self.scalar) {
                    (true, true) => format!(" + w_{t}_0.x * x_{x}"),
                    (true, false) => format!(" + dot(w_{t}_0, x_{x})"),
                    (false, true) => format!(" + w_{t}_{o} * x_{x}"),
                    // In software it counts that this takes fewer registers.
                    (false, false) if self.shared => {
                        format!(" + mat4x4<f32>(w_{t}_{a}, w_{t}_{b}, w_{t}_{c}, w_{t}_{d}) * x_{x}")
                    }
                    (false, false) => {
                        let weights = [a, b, c, d].into_iter().zip(COMPONENTS);
                        weights.map(|(w, component)| format!(" + w_{t}_{w} * x_{x}.{component}")).collect()
                    }
                };
            }
            line!(text, "{sum};");
        }
    }

    /// The first of the invocations that divided a sum adds up their parts, and goes on alone.
    fn join_parts(&self, text: &mut String) {
        let (split, parts) = (self.split, self.positions * self.blocks);
        for (k, (o, p)) in self.sums().enumerate() {
            line!(text, "parts[thread * {parts}u + {k}u] = sum_{o}_{p};");
        }
        *text += "workgroupBarrier();\n";
        *text += "if (lane > 0u || outputs.group >= params.groups) { return; }\n";
        for (o, p) in self.sums() {
            line!(text, "sum_{o}_{p} += bias_{o};");
        }
        line!(text, "for (var other = 1u; other < {split}u; other++) {{");
        for (k, (o, p)) in self.sums().enumerate() {
            line!(text, "sum_{o}_{p} += parts[(thread + other) * {parts}u + {k}u];");
        }
        *text += "}\n";
    }

    fn write_outputs(&self, text: &mut String, quad: Option<Quad>) {
        let blocks = self.blocks;
        *text += "if (!has_row(outputs)) { return; }\n";
        for p in (0..self.positions).step_by(if quad == Some(Quad::Row) { 4 } else { 1 }) {
            line!(text, "if (has_column(outputs, outputs.column + {p}u)) {{");
            line!(text, "let at = place_of(outputs, outputs.column + {p}u);");
            for o in 0..blocks {
                match self.write {
                    Write::Elements => {
                        line!(text, "let element_{o} = outputs.group * {blocks}u + block_{o};");
                        line!(text, "if (element_{o} < params.outputs) {{");
                        line!(text, "finish(at + element_{o} * params.out_plane, sum_{o}_{p});\n}}");
                    }
                    _ => self.write_channels(text, quad, o, p),
                }
            }
            *text += "}\n";
        }
    }

    /// The channels of an element one by one, at one position or, in a quad of a row, at four.
    fn write_channels(&self, text: &mut String, quad: Option<Quad>, o: usize, p: usize) {
        let blocks = self.blocks;
        let lanes = if self.narrow() || quad == Some(Quad::Channels) { 1 } else { 4 };
        for (lane, component) in COMPONENTS.iter().enumerate().take(lanes) {
            match self.narrow() {
                true => *text += "{ let channel = 0u;\n",
                false => {
                    line!(text, "{{ let channel = (outputs.group * {blocks}u + block_{o}) * 4u + {lane}u;");
                }
            }
            *text += "if (channel < params.outputs) {\n";
            let number = |p: usize| match self.narrow() {
                true => format!("sum_{o}_{p}"),
                false => format!("sum_{o}_{p}.{component}"),
            };
            match quad {
                Some(Quad::Channels) => {
                    let four = if self.narrow() {
                        format!("vec4<f32>(sum_{o}_{p})")
                    } else {
                        format!("sum_{o}_{p}")
                    };
                    line!(text, "step_from(at + channel, {four}, min(4u, params.outputs - channel));");
                }
                Some(_) => {
                    let four = (p..p + 4).map(number).collect::<Vec<_>>().join(", ");
                    line!(text, "step_from(at + channel * params.out_plane, vec4<f32>({four}), 4u);");
                }
                None => {
                    let number = number(p);
                    line!(text, "finish(at + channel * params.out_plane, {number});");
                }
            }
            *text += "}}\n";
        }
    }
}
