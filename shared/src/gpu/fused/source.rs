//! The WGSL of a correlation's variant: `correlate.wgsl` with its sums written out.
//!
//! Every number of a sum has a name of its own, and is assigned once: software adapters keep variables in
//! memory and do not unroll loops.

use super::correlation::{Variant, Write};
use super::finish::{Quad, Tail};
use std::fmt::Write as _;

const XYZW: [char; 4] = ['x', 'y', 'z', 'w'];

/// The variant's module from its frame, `correlate.wgsl`, without the functions it calls.
pub(in crate::gpu) fn correlate(variant: &Variant, tail: &Tail, frame: &str) -> String {
    let Variant { positions, blocks, split, taps, scalar, write, .. } = *variant;
    let narrow = write == Write::Narrow;
    let piece = taps * if narrow { 1 } else { blocks * if scalar { 1 } else { 4 } };
    let element = |single: bool| if single { "f32" } else { "vec4<f32>" };
    let guard = "if (group >= params.groups) { return; }";
    let number = element(narrow);
    // Invocations that meet at a barrier must not leave before.
    let [shared, guard] = match split {
        1 => [String::new(), guard.into()],
        _ => [format!("var<workgroup> parts: array<{number}, {}>;", 64 * positions * blocks), String::new()],
    };
    frame
        .replace("SHARED", &shared)
        .replace("GUARD", &guard)
        .replace("SPLIT", &format!("{split}u"))
        .replace("array<IN>", &format!("array<{}>", element(scalar)))
        .replace("array<OUT>", &format!("array<{}>", element(write != Write::Elements)))
        .replace("POSITIONS", &format!("{positions}u"))
        .replace("PIECE", &format!("{piece}u"))
        .replace("SUMS\n", &sums(variant, tail, piece))
}

fn sums(variant: &Variant, tail: &Tail, piece: usize) -> String {
    let Variant { positions, blocks, split, taps, step, scalar, checked, biased, write } = *variant;
    let narrow = write == Write::Narrow;
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = out.write_fmt(text);
        out.push('\n');
    };
    // One number a position, or four channels.
    let each = || (0..blocks).flat_map(|o| (0..positions).map(move |p| (o, p)));
    let zero = if narrow { "0.0" } else { "vec4<f32>(0.0)" };
    for o in 0..blocks {
        let part = if narrow { ".x" } else { "" };
        match biased {
            true => {
                line(format_args!("let bias_{o} = weights[params.biases + place * {blocks}u + {o}u]{part};"))
            }
            false => line(format_args!("let bias_{o} = {zero};")),
        }
    }
    for (o, p) in each() {
        let first = if split == 1 { format!("bias_{o}") } else { zero.into() };
        line(format_args!("var sum_{o}_{p} = {first};"));
    }

    // Where the inputs of a group of taps lie, behind the first.
    let offset = |p: usize, t: usize| if step > 0 { p * step + t } else { p };
    let mut offsets: Vec<usize> = (0..positions).flat_map(|p| (0..taps).map(move |t| offset(p, t))).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let away = |k: usize| if step > 0 { format!("{k}u") } else { format!("{k}u * in_x") };

    if split == 1 {
        line(format_args!("for (var ty = 0u; ty < taps; ty++) {{"));
    } else {
        line(format_args!("let lane = thread % {split}u;"));
        line(format_args!("let first_weight = weight;"));
        line(format_args!("for (var q = lane; q < taps * tap_groups * inputs; q += {split}u) {{"));
        line(format_args!("let ty = q / inputs / tap_groups;"));
        line(format_args!("let tx = q / inputs % tap_groups;"));
    }
    if checked {
        line(format_args!("let at_y = first_row + i32(ty);"));
        line(format_args!("let in_y = at_y >= 0 && at_y < height;"));
    }
    if split == 1 {
        line(format_args!("for (var tx = 0u; tx < tap_groups; tx++) {{"));
    }
    line(format_args!("var at = start + ty * in_row + tx * {taps}u;"));
    if checked {
        for &k in &offsets {
            let at = if step > 0 { format!("{k}") } else { format!("{k} * i32(in_step)") };
            line(format_args!("let at_{k} = first_column + i32(tx) * {taps} + {at};"));
            line(format_args!("let in_{k} = in_y && at_{k} >= 0 && at_{k} < width;"));
        }
    }
    if split == 1 {
        line(format_args!("for (var c = 0u; c < inputs; c++) {{"));
    } else {
        line(format_args!("at += q % inputs * in_plane;"));
        line(format_args!("weight = first_weight + q * {piece}u;"));
    }
    for &k in &offsets {
        let read = format!("x[at + {}]", away(k));
        match (checked, scalar) {
            (true, _) => line(format_args!("let x_{k} = select(0.0, {read}, in_{k});")),
            (false, _) => line(format_args!("let x_{k} = {read};")),
        }
    }
    let pieces = piece / taps;
    for t in 0..taps {
        for i in 0..pieces {
            line(format_args!("let w_{t}_{i} = weights[weight + {}u];", t * pieces + i));
        }
    }
    for (o, p) in each() {
        let mut terms = String::new();
        for t in 0..taps {
            let x = format!("x_{}", offset(p, t));
            match (narrow, scalar) {
                (true, true) => {
                    let _ = write!(terms, " + w_{t}_0.x * {x}");
                }
                (true, false) => {
                    let _ = write!(terms, " + dot(w_{t}_0, {x})");
                }
                (false, true) => {
                    let _ = write!(terms, " + w_{t}_{o} * {x}");
                }
                (false, false) => {
                    for (i, lane) in XYZW.iter().enumerate() {
                        let _ = write!(terms, " + w_{t}_{} * {x}.{lane}", 4 * o + i);
                    }
                }
            }
        }
        line(format_args!("sum_{o}_{p} = sum_{o}_{p}{terms};"));
    }
    if split == 1 {
        line(format_args!("at += in_plane;"));
        line(format_args!("weight += {piece}u;"));
        line(format_args!("}}}}}}"));
    } else {
        line(format_args!("}}"));
        let parts = positions * blocks;
        for (k, (o, p)) in each().enumerate() {
            line(format_args!("parts[thread * {parts}u + {k}u] = sum_{o}_{p};"));
        }
        line(format_args!("workgroupBarrier();"));
        line(format_args!("if (lane > 0u || group >= params.groups) {{ return; }}"));
        for (o, p) in each() {
            line(format_args!("sum_{o}_{p} += bias_{o};"));
        }
        line(format_args!("for (var other = 1u; other < {split}u; other++) {{"));
        for (k, (o, p)) in each().enumerate() {
            line(format_args!("sum_{o}_{p} += parts[(thread + other) * {parts}u + {k}u];"));
        }
        line(format_args!("}}"));
    }

    line(format_args!("if (row * params.phases_y + phase_y >= params.limit_y) {{ return; }}"));
    line(format_args!(
        "let to = params.out_origin + sample * params.out_z + row * params.out_y + phase_y * params.out_row + phase_x;"
    ));
    let part = |o: usize, p: usize, lane: char| {
        if narrow { format!("sum_{o}_{p}") } else { format!("sum_{o}_{p}.{lane}") }
    };
    let channel = |o: usize, j: usize| match narrow {
        true => "0u".to_string(),
        false => format!("(group * {}u + {}u)", 4 * blocks, 4 * o + j),
    };
    let lanes = || XYZW.iter().copied().enumerate().take(if narrow { 1 } else { 4 });
    let row_of_four = tail.quad() == Some(Quad::Row);
    for p in (0..positions).step_by(if row_of_four { 4 } else { 1 }) {
        line(format_args!("if ((column + {p}u) * params.phases_x + phase_x < params.limit_x) {{"));
        line(format_args!("let at = to + (column + {p}u) * params.out_x;"));
        for o in 0..blocks {
            match (write, tail.quad()) {
                (Write::Elements, _) => {
                    line(format_args!("if (group * {blocks}u + {o}u < params.outputs) {{"));
                    line(format_args!(
                        "finish(at + (group * {blocks}u + {o}u) * params.out_plane, sum_{o}_{p});"
                    ));
                    line(format_args!("}}"));
                }
                (_, Some(Quad::Channels)) => {
                    let first = channel(o, 0);
                    let four =
                        if narrow { format!("vec4<f32>(sum_{o}_{p})") } else { format!("sum_{o}_{p}") };
                    line(format_args!("if ({first} < params.outputs) {{"));
                    line(format_args!("step_from(at + {first}, {four}, min(4u, params.outputs - {first}));"));
                    line(format_args!("}}"));
                }
                (_, quad) => {
                    for (j, lane) in lanes() {
                        let channel = channel(o, j);
                        let at = format!("at + {channel} * params.out_plane");
                        line(format_args!("if ({channel} < params.outputs) {{"));
                        match quad {
                            Some(_) => {
                                let [a, b, c, d] = [0, 1, 2, 3].map(|i| part(o, p + i, lane));
                                line(format_args!("step_from({at}, vec4<f32>({a}, {b}, {c}, {d}), 4u);"));
                            }
                            None => line(format_args!("finish({at}, {});", part(o, p, lane))),
                        }
                        line(format_args!("}}"));
                    }
                }
            }
        }
        line(format_args!("}}"));
    }
    out
}
