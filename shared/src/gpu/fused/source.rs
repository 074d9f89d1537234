//! The WGSL of a correlation's variant: `correlate.wgsl` with its sums written out.
//!
//! Every number of a sum has a name of its own, and is assigned once: software adapters keep variables in
//! memory and do not unroll loops.

use super::finish::{Quad, Tail};
use super::recipe::{Variant, Write};
use super::text::{Text, fill};

/// What the variant's module begins with in a browser, which wants to be told of subgroups, and cannot see that whole
/// quads take the same way; naga knows neither line, and asks for neither.
pub(in crate::gpu) fn head(variant: &Variant) -> &'static str {
    if variant.shared { "enable subgroups;\ndiagnostic(off,subgroup_uniformity);\n" } else { "" }
}

/// The variant's module from its frame, `correlate.wgsl`, without the functions it calls.
pub(in crate::gpu) fn correlate(variant: &Variant, tail: &Tail, frame: &str) -> String {
    let Variant { positions, blocks, split, shared, taps, scalar, write, .. } = *variant;
    let narrow = write == Write::Narrow;
    let piece = taps * if narrow { 1 } else { blocks * if scalar { 1 } else { 4 } };
    let element = |single: bool| if single { "f32" } else { "vec4<f32>" };
    let guard = "if (group >= params.groups) { return; }";
    let number = element(narrow);
    // Invocations that meet at a barrier must not leave before.
    let [parts, guard] = match split {
        1 => [String::new(), guard.into()],
        _ => [format!("var<workgroup> parts: array<{number}, {}>;", 64 * positions * blocks), String::new()],
    };
    let number_of = |n: usize| format!("{n}u");
    let texts = [
        ("SHARED", parts.as_str()),
        ("BUILTINS", if shared { "@builtin(subgroup_invocation_id) invocation: u32," } else { "" }),
        ("GUARD", &guard),
        ("SPLIT", &number_of(split)),
        ("IN", element(scalar)),
        ("OUT", element(write != Write::Elements)),
        ("POSITIONS", &number_of(positions)),
        ("PIECE", &number_of(piece)),
        ("SUMS", &sums(variant, tail, piece)),
    ];
    fill(frame, &texts)
}

fn sums(variant: &Variant, tail: &Tail, piece: usize) -> String {
    let Variant { positions, blocks, split, shared, taps, step, scalar, checked, biased, write } = *variant;
    let narrow = write == Write::Narrow;
    let mut text = Text::default();
    // One number a position, or four channels.
    let each = || (0..blocks).flat_map(|o| (0..positions).map(move |p| [o, p]));
    let zero = if narrow { "0.0;" } else { "vec4<f32>(0.0);" };
    if shared {
        text.line("let turn = invocation % 4u;", &[]);
    }
    for o in 0..blocks {
        text.line(if shared { "let block_$0 = $0u ^ turn;" } else { "let block_$0 = $0u;" }, &[o]);
        text.add("let bias_$0 = ", &[o]);
        match (biased, narrow) {
            (true, true) => text.line("weights[params.biases + place * $0u + block_$1].x;", &[blocks, o]),
            (true, false) => text.line("weights[params.biases + place * $0u + block_$1];", &[blocks, o]),
            (false, _) => text.line(zero, &[]),
        }
    }
    for sum in each() {
        text.add("var sum_$0_$1 = ", &sum);
        text.line(if split == 1 { "bias_$0;" } else { zero }, &sum);
    }

    // Where the inputs of a group of taps lie, behind the first.
    let offset = |p: usize, t: usize| if step > 0 { p * step + t } else { p };
    let read = |k: &usize| (0..positions).any(|p| (0..taps).any(|t| offset(p, t) == *k));
    let offsets: Vec<usize> = (0..=offset(positions - 1, taps - 1)).filter(read).collect();

    if split == 1 {
        text.line("for (var ty = 0u; ty < taps; ty++) {", &[]);
    } else {
        text.line("let lane = thread % $0u;\nlet first_weight = weight;", &[split]);
        text.line("for (var q = lane; q < taps * tap_groups * inputs; q += $0u) {", &[split]);
        text.line("let ty = q / inputs / tap_groups;\nlet tx = q / inputs % tap_groups;", &[]);
    }
    if checked {
        text.line("let at_y = first_row + i32(ty);\nlet in_y = at_y >= 0 && at_y < height;", &[]);
    }
    if split == 1 {
        text.line("for (var tx = 0u; tx < tap_groups; tx++) {", &[]);
    }
    text.line("var at = start + ty * in_row + tx * $0u;", &[taps]);
    if checked {
        for &k in &offsets {
            text.add("let at_$0 = first_column + i32(tx) * $1 + $0", &[k, taps]);
            text.line(if step > 0 { ";" } else { " * i32(in_step);" }, &[]);
            text.line("let in_$0 = in_y && at_$0 >= 0 && at_$0 < width;", &[k]);
        }
    }
    if split == 1 {
        text.line("for (var c = 0u; c < inputs; c++) {", &[]);
    } else {
        text.line("at += q % inputs * in_plane;\nweight = first_weight + q * $0u;", &[piece]);
    }
    for &k in &offsets {
        text.add("let x_$0 = ", &[k]);
        text.add(if checked && scalar { "select(0.0, " } else { "" }, &[]);
        text.add(if step > 0 { "x[at + $0u]" } else { "x[at + $0u * in_x]" }, &[k]);
        text.line(if checked && scalar { ", in_$0);" } else { ";" }, &[k]);
    }
    let pieces = piece / taps;
    if shared {
        // Each of four invocations reads the weights of another element, and has the others' by swaps: what it calls
        // element o is o ^ turn.
        for (t, k) in (0..taps).flat_map(|t| (0..pieces / 4).map(move |k| (t, k))) {
            text.line(
                "let w_$0_$1 = weights[weight + turn * $2u + $3u];",
                &[t, k, pieces / 4, t * pieces + k],
            );
            for (o, swap) in (1..).zip(["X", "Y", "Diagonal"]) {
                text.add("let w_$0_$1 = quadSwap", &[t, o * pieces / 4 + k]);
                text.add(swap, &[]);
                text.line("(w_$0_$1);", &[t, k]);
            }
        }
    } else {
        for i in 0..taps * pieces {
            text.line("let w_$0_$1 = weights[weight + $2u];", &[i / pieces, i % pieces, i]);
        }
    }
    for [o, p] in each() {
        text.add("sum_$0_$1 = sum_$0_$1", &[o, p]);
        for t in 0..taps {
            let x = offset(p, t);
            match (narrow, scalar) {
                (true, true) => text.add(" + w_$0_0.x * x_$1", &[t, x]),
                (true, false) => text.add(" + dot(w_$0_0, x_$1)", &[t, x]),
                (false, true) => text.add(" + w_$0_$2 * x_$1", &[t, x, o]),
                (false, false) if shared => {
                    // In software it counts that this takes fewer registers.
                    text.add(
                        " + mat4x4<f32>(w_$0_$1, w_$0_$2, w_$0_$3, w_$0_$4)",
                        &[t, 4 * o, 4 * o + 1, 4 * o + 2, 4 * o + 3],
                    );
                    text.add(" * x_$0", &[x]);
                }
                (false, false) => {
                    for lane in 0..4 {
                        text.add(" + w_$0_$2 * x_$1.@3", &[t, x, 4 * o + lane, lane]);
                    }
                }
            }
        }
        text.line(";", &[]);
    }
    if split == 1 {
        text.line("at += in_plane;\nweight += $0u;\n}}}", &[piece]);
    } else {
        text.line("}", &[]);
        let parts = positions * blocks;
        for (k, [o, p]) in each().enumerate() {
            text.line("parts[thread * $0u + $1u] = sum_$2_$3;", &[parts, k, o, p]);
        }
        text.line("workgroupBarrier();\nif (lane > 0u || group >= params.groups) { return; }", &[]);
        for sum in each() {
            text.line("sum_$0_$1 += bias_$0;", &sum);
        }
        text.line("for (var other = 1u; other < $0u; other++) {", &[split]);
        for (k, [o, p]) in each().enumerate() {
            text.line("sum_$2_$3 += parts[(thread + other) * $0u + $1u];", &[parts, k, o, p]);
        }
        text.line("}", &[]);
    }

    text.line("if (row * params.phases_y + phase_y >= params.limit_y) { return; }", &[]);
    text.add("let to = params.out_origin + sample * params.out_z + row * params.out_y", &[]);
    text.line(" + phase_y * params.out_row + phase_x;", &[]);
    let quad = tail.quad();
    // Of four channels in an element, or of a single one, those that are written one by one.
    let part = |sum: &'static str, single: &'static str| if narrow { single } else { sum };
    for p in (0..positions).step_by(if quad == Some(Quad::Row) { 4 } else { 1 }) {
        text.line("if ((column + $0u) * params.phases_x + phase_x < params.limit_x) {", &[p]);
        text.line("let at = to + (column + $0u) * params.out_x;", &[p]);
        for o in 0..blocks {
            if write == Write::Elements {
                text.line("if (group * $0u + block_$1 < params.outputs) {", &[blocks, o]);
                text.line(
                    "finish(at + (group * $0u + block_$1) * params.out_plane, sum_$1_$2);\n}",
                    &[blocks, o, p],
                );
                continue;
            }
            for lane in 0..if narrow || quad == Some(Quad::Channels) { 1 } else { 4 } {
                let numbers = [blocks, 0, o, p, lane, p + 1, p + 2, p + 3];
                let channel = "{ let channel = (group * $0u + block_$2) * 4u + $4u;";
                text.line(part(channel, "{ let channel = 0u;"), &numbers);
                text.line("if (channel < params.outputs) {", &[]);
                match quad {
                    Some(Quad::Channels) => {
                        text.add("step_from(at + channel, ", &[]);
                        text.add(part("sum_$2_$3", "vec4<f32>(sum_$2_$3)"), &numbers);
                        text.line(", min(4u, params.outputs - channel));", &[]);
                    }
                    Some(_) => {
                        text.add("step_from(at + channel * params.out_plane, vec4<f32>(", &[]);
                        let four = "sum_$2_$3.@4, sum_$2_$5.@4, sum_$2_$6.@4, sum_$2_$7.@4";
                        text.add(part(four, "sum_$2_$3, sum_$2_$5, sum_$2_$6, sum_$2_$7"), &numbers);
                        text.line("), 4u);", &[]);
                    }
                    None => {
                        text.add("finish(at + channel * params.out_plane, ", &[]);
                        text.line(part("sum_$2_$3.@4);", "sum_$2_$3);"), &numbers);
                    }
                }
                text.line("}}", &[]);
            }
        }
        text.line("}", &[]);
    }
    text.0
}
