// Sums over the taps of windows and over channels: linear layers and convolutions of both directions, as
// `correlation.rs` describes them. An invocation computes neighbouring outputs for a few elements of channels;
// the sums themselves are written out for each variant and take the place of the line SUMS.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<IN>;
@group(0) @binding(3) var<storage, read_write> y: array<OUT>;

SHARED
@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(num_workgroups) groups: vec3<u32>,
    BUILTINS
) {
    let tiles = (params.columns + POSITIONS - 1u) / POSITIONS;
    var index = element_index(id, groups) / SPLIT;
    let column = index % tiles * POSITIONS;
    index = index / tiles;
    let row = index % params.rows;
    index = index / params.rows;
    let sample = index % params.samples;
    index = index / params.samples;
    let place = index;
    let phase_x = index % params.phases_x;
    index = index / params.phases_x;
    let phase_y = index % params.phases_y;
    let group = index / params.phases_y;
    GUARD

    // Copies, because a compiler may read a parameter again wherever it is named. The minimum changes nothing, but
    // hides from lavapipe that loops end at a uniform: it would compile the kernel anew for every dispatch.
    let most = arrayLength(&x);
    let inputs = min(params.inputs, most);
    let tap_groups = min(params.tap_groups, most);
    let taps = min(params.taps, most);
    let in_x = params.in_x;
    let in_row = params.in_row;
    let in_plane = params.in_plane;
    let height = i32(params.height);
    let width = i32(params.width);
    let top = params.first_y + i32((phase_y + params.padding) / params.stride);
    let left = params.first_x + i32((phase_x + params.padding) / params.stride);
    let corner = params.in_origin + sample * params.in_z + row * params.in_y + column * in_x;
    let start = u32(i32(corner) + top * i32(in_row) + left);
    let in_step = params.in_step;
    let first_row = i32(row * in_step) + top;
    let first_column = i32(column * in_step) + left;
    var weight = place * (taps * tap_groups * inputs * PIECE);
SUMS
}
