//! A correlation by workgroups that share what they read, for graphics processors: `tiled.wgsl` with its loads
//! and sums written out.

use super::text::{Text, fill};

/// The tile of a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::gpu) struct Tile {
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

    /// Its module from the frame, `tiled.wgsl`, without the functions it calls.
    pub(in crate::gpu) fn source(&self, frame: &str) -> String {
        let number = |n: usize| format!("{n}u");
        let texts = [
            ("TILE_X", number(2 * self.inputs())),
            ("TILE_W", number(2 * self.weights())),
            ("THREADS", number(self.threads())),
            ("POSITIONS", number(self.width())),
            ("PLANES", number(self.planes)),
            ("ACROSS", number(self.across)),
            ("WEIGHTS", number(self.weights())),
            ("SUMS", self.sums()),
        ];
        fill(frame, &texts.each_ref().map(|(name, text)| (*name, text.as_str())))
    }

    fn sums(&self) -> String {
        let Tile { positions, across, blocks, deep, planes, biased } = *self;
        let (threads, width, depth) = (self.threads(), self.width(), self.depth());
        let (inputs, weights) = (self.inputs(), self.weights());
        let mut text = Text::default();
        let each = || (0..blocks).flat_map(|o| (0..positions).map(move |p| [o, p]));
        for o in 0..blocks {
            let bias = "let bias_$0 = weights[params.biases + place * $1u + deep + $2u];";
            text.line(if biased { bias } else { "let bias_$0 = vec4<f32>(0.0);" }, &[o, depth, o * deep]);
        }
        for sum in each() {
            text.line("var sum_$0_$1 = bias_$0;", &sum);
        }

        // What each invocation brings.
        let input_loads = inputs.div_ceil(threads);
        let weight_loads = weights.div_ceil(threads);
        for i in 0..input_loads {
            text.line("let input_$0 = thread + $1u;", &[i, i * threads]);
            text.add("let from_$0 = input_of(first + input_$0 % $1u, start)", &[i, width]);
            text.line(" + input_$0 / $1u * in_plane;\nvar bring_x_$0: vec4<f32>;", &[i, width]);
        }
        for i in 0..weight_loads {
            text.line("let weight_$0 = thread + $1u;", &[i, i * threads]);
            // Packed as [plane, block, lane]; here blocks are neighbours, so that invocations read side by side.
            text.add("let place_$0 = (weight_$0 / $2u * 4u + weight_$0 % 4u) * $1u", &[i, depth, 4 * depth]);
            text.line(" + weight_$0 / 4u % $1u;\nvar bring_w_$0: vec4<f32>;", &[i, depth]);
        }
        let load = |text: &mut Text| {
            for i in 0..input_loads {
                text.line("bring_x_$0 = x[from_$0 + at];", &[i]);
            }
            for i in 0..weight_loads {
                text.line("bring_w_$0 = weights[weight + weight_$0];", &[i]);
            }
        };
        // Where there is less than one element for each invocation, the last have none.
        let store = |text: &mut Text| {
            for i in 0..input_loads {
                text.add(
                    if inputs.is_multiple_of(threads) { "" } else { "if (input_$0 < $1u) " },
                    &[i, inputs],
                );
                text.line("{ tile_x[next * $1u + input_$0] = bring_x_$0; }", &[i, inputs]);
            }
            for i in 0..weight_loads {
                let all = weights.is_multiple_of(threads);
                text.add(if all { "" } else { "if (weight_$0 < $1u) " }, &[i, weights]);
                text.line("{ tile_w[next * $1u + place_$0] = bring_w_$0; }", &[i, weights]);
            }
        };
        text.line("var next = 0u;", &[]);
        load(&mut text);
        store(&mut text);
        text.line("workgroupBarrier();\nfor (var slab = 0u; slab < slabs; slab++) {", &[]);
        text.line("let now_x = next * $0u + across;\nlet now_w = next * $1u + deep;", &[inputs, weights]);
        text.line("next = 1u - next;\nlet more = slab + 1u < slabs;\nif (more) {", &[]);
        text.line("plane += $0u;\nat += $0u * in_plane;\nif (plane == inputs) {", &[planes]);
        text.line("plane = 0u; at += next_tap; tap++;", &[]);
        text.line("if (tap == columns_of_taps) { tap = 0u; at += next_row; }", &[]);
        text.line("}\nweight += $0u;", &[weights]);
        load(&mut text);
        text.line("}", &[]);
        for plane in 0..planes {
            for p in 0..positions {
                text.line("let x_$0_$1 = tile_x[now_x + $2u];", &[plane, p, plane * width + p * across]);
            }
            for lane in 0..4 {
                for o in 0..blocks {
                    let at = (plane * 4 + lane) * depth + o * deep;
                    text.line("let w_$0_$1_$2 = tile_w[now_w + $3u];", &[plane, lane, o, at]);
                }
                for [o, p] in each() {
                    text.line("sum_$2_$3 += w_$0_$1_$2 * x_$0_$3.@1;", &[plane, lane, o, p]);
                }
            }
        }
        text.line("if (more) {", &[]);
        store(&mut text);
        text.line("}\nworkgroupBarrier();\n}\nlet block = group * $0u + deep;", &[depth]);
        for p in 0..positions {
            text.line("let to_$0 = first + across + $1u;\nif (to_$0 < positions) {", &[p, p * across]);
            text.line("let line = to_$0 / params.columns;\nlet row = line % params.rows;", &[p]);
            text.line("let column = to_$0 % params.columns;", &[p]);
            text.line("if (row * params.phases_y + phase_y < params.limit_y", &[]);
            text.line("&& column * params.phases_x + phase_x < params.limit_x) {", &[]);
            text.line(
                "let to = params.out_origin + line / params.rows * params.out_z + row * params.out_y",
                &[],
            );
            text.line("+ phase_y * params.out_row + phase_x + column * params.out_x;", &[]);
            for o in 0..blocks {
                text.line("if (block + $0u < params.outputs) {", &[o * deep]);
                text.line("finish(to + (block + $0u) * params.out_plane, sum_$1_$2);\n}", &[o * deep, o, p]);
            }
            text.line("}}", &[]);
        }
        text.0
    }
}

#[cfg(test)]
mod tests {
    use crate::gpu::Choice;

    /// WebGPU's default limits: 256 invocations and 16 KiB of memory for a workgroup.
    #[test]
    fn every_device_can_run_every_tile() {
        for choice in Choice::all() {
            let Choice::Tiled(tiling) = choice else { continue };
            let tile = tiling.tile(tiling.planes, true);
            assert!(tile.threads() <= 256, "{tile:?}");
            assert!(2 * 16 * (tile.weights() + tile.inputs()) <= 16384, "{tile:?}");
        }
    }
}
