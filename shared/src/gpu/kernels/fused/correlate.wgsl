// Sums over the taps of windows and over channels: linear layers and convolutions of both directions, as
// `correlation.rs` describes them. An invocation computes neighbouring outputs for a few elements of channels.
// `correlate.rs` writes the entry point, with the sums of a variant, and what stands before this file: the aliases `In`
// and `Out`, numbers or elements of four, and the constants `POSITIONS` (outputs of an invocation) and `PIECE`
// (elements of weights that it reads at a time).

@group(0) @binding(0) var<uniform> params: CorrelationParams;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<In>;
@group(0) @binding(3) var<storage, read_write> y: array<Out>;

// The outputs of an invocation: `POSITIONS` of them from `column` on, for a group of elements of channels.
struct Outputs {
    column: u32,
    row: u32,
    sample: u32,
    phase_x: u32,
    phase_y: u32,
    group: u32,
    // Group and phase as one number: the place of their weights.
    place: u32,
}

fn outputs_of(invocation: u32) -> Outputs {
    let tiles = (params.columns + POSITIONS - 1u) / POSITIONS;
    let line = invocation / tiles;
    let plane = line / params.rows;
    let place = plane / params.samples;
    return Outputs(
        invocation % tiles * POSITIONS,
        line % params.rows,
        plane % params.samples,
        place % params.phases_x,
        place / params.phases_x % params.phases_y,
        place / params.phases_x / params.phases_y,
        place,
    );
}

// What an invocation reads.
struct Window {
    taps: u32,
    tap_groups: u32,
    inputs: u32,
    // The input of the first output's first tap.
    start: u32,
    // Its row and column, which may lie beyond the edge.
    first_row: i32,
    first_column: i32,
    // The first weight.
    weight: u32,
}

fn window_of(outputs: Outputs) -> Window {
    // The minimum changes nothing, but hides from lavapipe that loops end at a uniform: it would compile the kernel anew
    // for every dispatch.
    let most = arrayLength(&x);
    let taps = min(params.taps, most);
    let tap_groups = min(params.tap_groups, most);
    let inputs = min(params.inputs, most);
    let top = params.first_y + i32((outputs.phase_y + params.padding) / params.stride);
    let left = params.first_x + i32((outputs.phase_x + params.padding) / params.stride);
    let corner = params.in_origin + outputs.sample * params.in_z + outputs.row * params.in_y
        + outputs.column * params.in_x;
    return Window(
        taps,
        tap_groups,
        inputs,
        u32(i32(corner) + top * i32(params.in_row) + left),
        i32(outputs.row * params.in_step) + top,
        i32(outputs.column * params.in_step) + left,
        outputs.place * (taps * tap_groups * inputs * PIECE),
    );
}

// Whether a row of the output exists: late phases may have one less.
fn has_row(outputs: Outputs) -> bool {
    return outputs.row * params.phases_y + outputs.phase_y < params.limit_y;
}

fn has_column(outputs: Outputs, column: u32) -> bool {
    return column * params.phases_x + outputs.phase_x < params.limit_x;
}

// Where the output of a column lies in its plane.
fn place_of(outputs: Outputs, column: u32) -> u32 {
    return params.out_origin + outputs.sample * params.out_z + outputs.row * params.out_y
        + outputs.phase_y * params.out_row + outputs.phase_x + column * params.out_x;
}
