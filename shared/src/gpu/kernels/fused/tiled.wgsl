// The same sums as correlate.wgsl by workgroups that share what they read: a tile of positions times a tile of
// channels, whose inputs and weights pass through workgroup memory, a slab of channels of one tap at a time. While
// a slab is summed up, the next is on its way. `tiled.rs` writes the entry point, with a tile's loads and sums, and what
// stands before this file: the constants `TILE_WIDTH` (positions of a tile), `TILE_X` and `TILE_W` (elements of inputs
// and weights in a slab) and `PLANES` (elements of channels in it).

@group(0) @binding(0) var<uniform> params: CorrelationParams;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// Two slabs each.
var<workgroup> tile_x: array<vec4<f32>, 2u * TILE_X>;
var<workgroup> tile_w: array<vec4<f32>, 2u * TILE_W>;

// What a workgroup computes.
struct Tile {
    // Its first position, of so many.
    first: u32,
    positions: u32,
    phase_x: u32,
    phase_y: u32,
    group: u32,
    // Group and phase as one number: the place of their weights.
    place: u32,
    // Where the inputs of the first position start.
    start: u32,
    slabs: u32,
    inputs: u32,
    tap_columns: u32,
    // From the last slab of a tap to the first of the next, and from a row's last tap to the next row.
    next_tap: u32,
    next_row: u32,
}

fn tile_of(workgroup: u32) -> Tile {
    let places = params.groups * params.phases_y * params.phases_x;
    let place = workgroup % places;
    let phase_x = place % params.phases_x;
    let phase_y = place / params.phases_x % params.phases_y;
    let top = params.first_y + i32((phase_y + params.padding) / params.stride);
    let left = params.first_x + i32((phase_x + params.padding) / params.stride);
    // As in correlate.wgsl, for lavapipe.
    let most = arrayLength(&x);
    let inputs = min(params.inputs, most);
    let tap_columns = min(params.tap_groups, most);
    return Tile(
        workgroup / places * TILE_WIDTH,
        params.columns * params.rows * params.samples,
        phase_x,
        phase_y,
        place / params.phases_x / params.phases_y,
        place,
        u32(i32(params.in_origin) + top * i32(params.in_row) + left),
        params.taps * tap_columns * (inputs / PLANES),
        inputs,
        tap_columns,
        1u - inputs * params.in_plane,
        params.in_row - tap_columns,
    );
}

// Where the inputs of a position start.
fn input_of(position: u32, start: u32) -> u32 {
    let last = params.columns * params.rows * params.samples - 1u;
    let at = min(position, last);
    let row = at / params.columns;
    return start + row / params.rows * params.in_z + row % params.rows * params.in_y
        + at % params.columns * params.in_x;
}

// Whether the output of a position exists: late phases may have a row or a column less.
fn has_output(tile: Tile, position: u32) -> bool {
    let row = position / params.columns % params.rows;
    let column = position % params.columns;
    return position < tile.positions
        && row * params.phases_y + tile.phase_y < params.limit_y
        && column * params.phases_x + tile.phase_x < params.limit_x;
}

// Where it lies in its plane.
fn place_of(tile: Tile, position: u32) -> u32 {
    let line = position / params.columns;
    return params.out_origin + line / params.rows * params.out_z + line % params.rows * params.out_y
        + tile.phase_y * params.out_row + tile.phase_x + position % params.columns * params.out_x;
}
