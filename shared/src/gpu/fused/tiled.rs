//! A correlation by workgroups that share what they read, for graphics processors: `tiled.wgsl`, what stands before it,
//! and the entry point with the loads and sums written out.

use super::geometry::COMPONENTS;
use crate::gpu::choice::Tiling;
use crate::gpu::kernels::TILED;

/// The tile of a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tile {
    /// Positions of an invocation.
    pub(super) positions: usize,
    /// Invocations side by side over positions.
    pub(super) across: usize,
    /// Elements of output channels of an invocation.
    pub(super) blocks: usize,
    /// Invocations side by side over channels.
    pub(super) deep: usize,
    /// Elements of input channels of a slab.
    pub(super) planes: usize,
    /// Whether sums start at a bias.
    pub(super) biased: bool,
}

impl Tile {
    /// The tile for a layer with so many elements of input channels.
    pub(super) fn new(tiling: Tiling, inputs: usize, biased: bool) -> Tile {
        let Tiling { positions, across, blocks, deep, planes } = tiling;
        let planes = (1..=planes).rev().find(|&planes| inputs.is_multiple_of(planes)).unwrap_or(1);
        Tile { positions, across, blocks, deep, planes, biased }
    }

    /// Invocations.
    pub(super) fn threads(&self) -> usize {
        self.across * self.deep
    }

    /// Positions of the whole tile.
    pub(super) fn width(&self) -> usize {
        self.positions * self.across
    }

    /// Elements of output channels of the whole tile.
    pub(super) fn depth(&self) -> usize {
        self.blocks * self.deep
    }

    /// Elements of weights of a slab.
    fn weights(&self) -> usize {
        4 * self.depth() * self.planes
    }

    /// Elements of inputs of a slab.
    fn inputs(&self) -> usize {
        self.width() * self.planes
    }

    /// The tile's module without the functions it calls.
    pub(super) fn source(&self) -> String {
        let (threads, width, inputs, weights) = (self.threads(), self.width(), self.inputs(), self.weights());
        let Tile { across, planes, .. } = *self;
        let mut text = String::new();
        line!(text, "const TILE_WIDTH = {width}u;");
        line!(text, "const TILE_X = {inputs}u;");
        line!(text, "const TILE_W = {weights}u;");
        line!(text, "const PLANES = {planes}u;");
        text += TILED;
        line!(text, "\n@compute @workgroup_size({threads})\nfn main(");
        text += "@builtin(local_invocation_index) thread: u32,\n";
        text += "@builtin(workgroup_id) group_id: vec3<u32>,\n";
        text += "@builtin(num_workgroups) groups: vec3<u32>,\n) {\n";
        text += "let tile = tile_of(group_id.y * groups.x + group_id.x);\n";
        text += "if (tile.first >= tile.positions) { return; }\n";
        text += "let in_plane = params.in_plane;\n";
        line!(text, "let across = thread % {across}u;");
        line!(text, "let deep = thread / {across}u;");
        text += "var plane = 0u;\nvar tap = 0u;\nvar at = 0u;\n";
        line!(text, "var weight = tile.place * tile.slabs * {weights}u;");
        self.begin_sums(&mut text);
        self.declare_loads(&mut text);
        self.sum_up(&mut text);
        self.write_outputs(&mut text);
        text + "}\n"
    }

    /// The sums of an invocation: block and position of each.
    fn sums(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let positions = self.positions;
        (0..self.blocks).flat_map(move |o| (0..positions).map(move |p| (o, p)))
    }

    /// Elements of inputs that an invocation brings for a slab. Where there is less than one for each, the last have
    /// none.
    fn input_loads(&self) -> usize {
        self.inputs().div_ceil(self.threads())
    }

    /// Elements of weights that an invocation brings for a slab.
    fn weight_loads(&self) -> usize {
        self.weights().div_ceil(self.threads())
    }

    fn begin_sums(&self, text: &mut String) {
        let depth = self.depth();
        for o in 0..self.blocks {
            let apart = o * self.deep;
            match self.biased {
                true => line!(
                    text,
                    "let bias_{o} = weights[params.biases + tile.place * {depth}u + deep + {apart}u];"
                ),
                false => line!(text, "let bias_{o} = vec4<f32>(0.0);"),
            }
        }
        for (o, p) in self.sums() {
            line!(text, "var sum_{o}_{p} = bias_{o};");
        }
    }

    /// What an invocation brings, from where, and to which place of a slab.
    fn declare_loads(&self, text: &mut String) {
        let (threads, width, depth) = (self.threads(), self.width(), self.depth());
        for i in 0..self.input_loads() {
            let apart = i * threads;
            line!(text, "let input_{i} = thread + {apart}u;");
            line!(
                text,
                "let from_{i} = input_of(tile.first + input_{i} % {width}u, tile.start) + input_{i} / {width}u * in_plane;"
            );
            line!(text, "var bring_x_{i}: vec4<f32>;");
        }
        let plane = 4 * depth;
        for i in 0..self.weight_loads() {
            let apart = i * threads;
            line!(text, "let weight_{i} = thread + {apart}u;");
            // Packed as [plane, block, lane]; here blocks are neighbours, so that invocations read side by side.
            line!(
                text,
                "let place_{i} = (weight_{i} / {plane}u * 4u + weight_{i} % 4u) * {depth}u + weight_{i} / 4u % {depth}u;"
            );
            line!(text, "var bring_w_{i}: vec4<f32>;");
        }
    }

    fn load(&self, text: &mut String) {
        for i in 0..self.input_loads() {
            line!(text, "bring_x_{i} = x[from_{i} + at];");
        }
        for i in 0..self.weight_loads() {
            line!(text, "bring_w_{i} = weights[weight + weight_{i}];");
        }
    }

    fn store(&self, text: &mut String) {
        let (inputs, weights) = (self.inputs(), self.weights());
        for i in 0..self.input_loads() {
            if !inputs.is_multiple_of(self.threads()) {
                line!(text, "if (input_{i} < {inputs}u)");
            }
            line!(text, "{{ tile_x[next * {inputs}u + input_{i}] = bring_x_{i}; }}");
        }
        for i in 0..self.weight_loads() {
            if !weights.is_multiple_of(self.threads()) {
                line!(text, "if (weight_{i} < {weights}u)");
            }
            line!(text, "{{ tile_w[next * {weights}u + place_{i}] = bring_w_{i}; }}");
        }
    }

    /// The loop over slabs: the sums of one while the next is brought.
    fn sum_up(&self, text: &mut String) {
        let (inputs, weights, planes) = (self.inputs(), self.weights(), self.planes);
        *text += "var next = 0u;\n";
        self.load(text);
        self.store(text);
        *text += "workgroupBarrier();\nfor (var slab = 0u; slab < tile.slabs; slab++) {\n";
        line!(text, "let now_x = next * {inputs}u + across;");
        line!(text, "let now_w = next * {weights}u + deep;");
        *text += "next = 1u - next;\nlet more = slab + 1u < tile.slabs;\nif (more) {\n";
        line!(text, "plane += {planes}u;\nat += {planes}u * in_plane;");
        *text += "if (plane == tile.inputs) {\nplane = 0u; at += tile.next_tap; tap++;\n";
        *text += "if (tap == tile.tap_columns) { tap = 0u; at += tile.next_row; }\n}\n";
        line!(text, "weight += {weights}u;");
        self.load(text);
        *text += "}\n";
        for plane in 0..planes {
            self.multiply(text, plane);
        }
        *text += "if (more) {\n";
        self.store(text);
        *text += "}\nworkgroupBarrier();\n}\n";
    }

    fn multiply(&self, text: &mut String, plane: usize) {
        let (width, depth) = (self.width(), self.depth());
        for p in 0..self.positions {
            let at = plane * width + p * self.across;
            line!(text, "let x_{plane}_{p} = tile_x[now_x + {at}u];");
        }
        for (lane, component) in COMPONENTS.iter().enumerate() {
            for o in 0..self.blocks {
                let at = (plane * 4 + lane) * depth + o * self.deep;
                line!(text, "let w_{plane}_{lane}_{o} = tile_w[now_w + {at}u];");
            }
            for (o, p) in self.sums() {
                line!(text, "sum_{o}_{p} += w_{plane}_{lane}_{o} * x_{plane}_{p}.{component};");
            }
        }
    }

    fn write_outputs(&self, text: &mut String) {
        let depth = self.depth();
        line!(text, "let block = tile.group * {depth}u + deep;");
        for p in 0..self.positions {
            let apart = p * self.across;
            line!(text, "let to_{p} = tile.first + across + {apart}u;");
            line!(text, "if (has_output(tile, to_{p})) {{\nlet to = place_of(tile, to_{p});");
            for o in 0..self.blocks {
                let apart = o * self.deep;
                line!(text, "if (block + {apart}u < params.outputs) {{");
                line!(text, "finish(to + (block + {apart}u) * params.out_plane, sum_{o}_{p});\n}}");
            }
            *text += "}\n";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::choice::Choice;

    /// WebGPU's default limits: 256 invocations and 16 KiB of memory for a workgroup.
    #[test]
    fn every_device_can_run_every_tile() {
        for choice in Choice::all() {
            let Choice::Tiled(tiling) = choice else { continue };
            let tile = Tile::new(tiling, tiling.planes, true);
            assert!(tile.threads() <= 256, "{tile:?}");
            assert!(2 * 16 * (tile.weights() + tile.inputs()) <= 16384, "{tile:?}");
        }
    }
}
