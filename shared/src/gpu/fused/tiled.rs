//! A correlation by workgroups that share what they read, for graphics processors: `tiled.wgsl` with its loads
//! and sums written out.

use std::fmt::Write as _;

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
        frame
            .replace("TILE_X", &(2 * self.inputs()).to_string())
            .replace("TILE_W", &(2 * self.weights()).to_string())
            .replace("THREADS", &self.threads().to_string())
            .replace("POSITIONS", &format!("{}u", self.width()))
            .replace("PLANES", &format!("{}u", self.planes))
            .replace("ACROSS", &format!("{}u", self.across))
            .replace("WEIGHTS", &format!("{}u", self.weights()))
            .replace("SUMS\n", &self.sums())
    }

    fn sums(&self) -> String {
        let Tile { positions, across, blocks, deep, planes, biased } = *self;
        let (threads, width, depth) = (self.threads(), self.width(), self.depth());
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            let _ = out.write_fmt(text);
            out.push('\n');
        };
        let each = || (0..blocks).flat_map(|o| (0..positions).map(move |p| (o, p)));
        for o in 0..blocks {
            let zero = "vec4<f32>(0.0)";
            let bias = format!("weights[params.biases + place * {depth}u + deep + {}u]", o * deep);
            line(format_args!("let bias_{o} = {};", if biased { bias.as_str() } else { zero }));
        }
        for (o, p) in each() {
            line(format_args!("var sum_{o}_{p} = bias_{o};"));
        }

        // What each invocation brings. Where there is less than one element for each, the last have none.
        let input_loads = self.inputs().div_ceil(threads);
        let weight_loads = self.weights().div_ceil(threads);
        let some_inputs = !self.inputs().is_multiple_of(threads);
        let some_weights = !self.weights().is_multiple_of(threads);
        for i in 0..input_loads {
            line(format_args!("let input_{i} = thread + {}u;", i * threads));
            line(format_args!(
                "let from_{i} = input_of(first + input_{i} % {width}u, start) + input_{i} / {width}u * in_plane;"
            ));
        }
        for i in 0..weight_loads {
            line(format_args!("let weight_{i} = thread + {}u;", i * threads));
            // Packed as [plane, block, lane]; here blocks are neighbours, so that invocations read side by side.
            line(format_args!(
                "let place_{i} = (weight_{i} / {}u * 4u + weight_{i} % 4u) * {depth}u + weight_{i} / 4u % {depth}u;",
                4 * depth
            ));
        }
        let load = |line: &mut dyn FnMut(std::fmt::Arguments<'_>)| {
            for i in 0..input_loads {
                line(format_args!("bring_x_{i} = x[from_{i} + at];"));
            }
            for i in 0..weight_loads {
                line(format_args!("bring_w_{i} = weights[weight + weight_{i}];"));
            }
        };
        let store = |line: &mut dyn FnMut(std::fmt::Arguments<'_>), slab: &str| {
            for i in 0..input_loads {
                let to = format!("tile_x[{slab} * {}u + input_{i}] = bring_x_{i};", self.inputs());
                match some_inputs {
                    true => line(format_args!("if (input_{i} < {}u) {{ {to} }}", self.inputs())),
                    false => line(format_args!("{to}")),
                }
            }
            for i in 0..weight_loads {
                let to = format!("tile_w[{slab} * {}u + place_{i}] = bring_w_{i};", self.weights());
                match some_weights {
                    true => line(format_args!("if (weight_{i} < {}u) {{ {to} }}", self.weights())),
                    false => line(format_args!("{to}")),
                }
            }
        };
        for i in 0..input_loads {
            line(format_args!("var bring_x_{i}: vec4<f32>;"));
        }
        for i in 0..weight_loads {
            line(format_args!("var bring_w_{i}: vec4<f32>;"));
        }
        load(&mut line);
        store(&mut line, "0u");
        line(format_args!("workgroupBarrier();"));
        line(format_args!("for (var slab = 0u; slab < slabs; slab++) {{"));
        line(format_args!("let now = slab % 2u;"));
        line(format_args!("let more = slab + 1u < slabs;"));
        line(format_args!("if (more) {{"));
        line(format_args!("plane += {planes}u;"));
        line(format_args!("at += {planes}u * in_plane;"));
        line(format_args!("if (plane == inputs) {{"));
        line(format_args!("plane = 0u; at += next_tap; tap++;"));
        line(format_args!("if (tap == columns_of_taps) {{ tap = 0u; at += next_row; }}"));
        line(format_args!("}}"));
        line(format_args!("weight += {}u;", self.weights()));
        load(&mut line);
        line(format_args!("}}"));
        line(format_args!("let now_x = now * {}u + across;", self.inputs()));
        line(format_args!("let now_w = now * {}u + deep;", self.weights()));
        for plane in 0..planes {
            for p in 0..positions {
                let at = plane * width + p * across;
                line(format_args!("let x_{plane}_{p} = tile_x[now_x + {at}u];"));
            }
            for (lane, name) in ["x", "y", "z", "w"].iter().enumerate() {
                for o in 0..blocks {
                    let at = (plane * 4 + lane) * depth + o * deep;
                    line(format_args!("let w_{plane}_{lane}_{o} = tile_w[now_w + {at}u];"));
                }
                for (o, p) in each() {
                    line(format_args!("sum_{o}_{p} += w_{plane}_{lane}_{o} * x_{plane}_{p}.{name};"));
                }
            }
        }
        line(format_args!("if (more) {{"));
        store(&mut line, "(1u - now)");
        line(format_args!("}}"));
        line(format_args!("workgroupBarrier();"));
        line(format_args!("}}"));

        line(format_args!("let block = group * {depth}u + deep;"));
        for p in 0..positions {
            line(format_args!("let to_{p} = first + across + {}u;", p * across));
            line(format_args!("if (to_{p} < positions) {{"));
            line(format_args!("let line = to_{p} / params.columns;"));
            line(format_args!("let row = line % params.rows;"));
            line(format_args!("let column = to_{p} % params.columns;"));
            line(format_args!(
                "if (row * params.phases_y + phase_y < params.limit_y \
                 && column * params.phases_x + phase_x < params.limit_x) {{"
            ));
            line(format_args!(
                "let to = params.out_origin + line / params.rows * params.out_z + row * params.out_y \
                 + phase_y * params.out_row + phase_x + column * params.out_x;"
            ));
            for o in 0..blocks {
                let channel = format!("block + {}u", o * deep);
                line(format_args!("if ({channel} < params.outputs) {{"));
                line(format_args!("finish(to + ({channel}) * params.out_plane, sum_{o}_{p});"));
                line(format_args!("}}"));
            }
            line(format_args!("}}"));
            line(format_args!("}}"));
        }
        out
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
