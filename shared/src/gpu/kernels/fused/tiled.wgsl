// The same sums as correlate.wgsl by workgroups that share what they read: a tile of positions times a tile of
// channels, whose inputs and weights pass through workgroup memory, a slab of channels of one tap at a time. While
// a slab is summed up, the next is on its way. The loads and sums are written out for each tile.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// Two slabs each.
var<workgroup> tile_x: array<vec4<f32>, TILE_X>;
var<workgroup> tile_w: array<vec4<f32>, TILE_W>;

// Where the inputs of a position start.
fn input_of(position: u32, start: u32) -> u32 {
    let last = params.columns * params.rows * params.samples - 1u;
    let at = min(position, last);
    let row = at / params.columns;
    return start + row / params.rows * params.in_z + row % params.rows * params.in_y
        + at % params.columns * params.in_x;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(local_invocation_index) thread: u32,
    @builtin(workgroup_id) group_id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    var index = group_id.y * groups.x + group_id.x;
    let places = params.groups * params.phases_y * params.phases_x;
    let place = index % places;
    let first = index / places * POSITIONS;
    let positions = params.columns * params.rows * params.samples;
    if (first >= positions) {
        return;
    }
    let phase_x = place % params.phases_x;
    let phase_y = place / params.phases_x % params.phases_y;
    let group = place / params.phases_x / params.phases_y;
    let top = params.first_y + i32((phase_y + params.padding) / params.stride);
    let left = params.first_x + i32((phase_x + params.padding) / params.stride);
    let start = u32(i32(params.in_origin) + top * i32(params.in_row) + left);

    let most = arrayLength(&x);
    let inputs = min(params.inputs, most);
    let columns_of_taps = min(params.tap_groups, most);
    let slabs = params.taps * columns_of_taps * (inputs / PLANES);
    let in_plane = params.in_plane;
    // From the last slab of a tap to the first of the next, and from a row's last tap to the next row.
    let next_tap = 1u - inputs * in_plane;
    let next_row = params.in_row - columns_of_taps;
    let across = thread % ACROSS;
    let deep = thread / ACROSS;
    var plane = 0u;
    var tap = 0u;
    var at = 0u;
    var weight = place * slabs * WEIGHTS;
SUMS
}
