// Averages over windows that do not overlap.

struct PoolParams {
    slope: f32,
    planes: u32,
    // Of the large planes.
    height: u32,
    width: u32,
    border: u32,
    small_border: u32,
    window_height: u32,
    window_width: u32,
}

@group(0) @binding(0) var<uniform> params: PoolParams;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let height = params.height / params.window_height;
    let width = params.width / params.window_width;
    let at = plane_of(index, height, width);
    if (at.index >= params.planes) {
        return;
    }
    let window_height = params.window_height;
    let window_width = params.window_width;
    let line = params.width + 2u * params.border;
    let corner = place_in(
        at.index, at.row * window_height, at.column * window_width, params.height, params.width, params.border,
    );
    var sum = vec4<f32>(0.0);
    for (var ky = 0u; ky < window_height; ky++) {
        for (var kx = 0u; kx < window_width; kx++) {
            sum += x[corner + ky * line + kx];
        }
    }
    let place = place_in(at.index, at.row, at.column, height, width, params.small_border);
    finish(place, sum * (1.0 / f32(window_height * window_width)));
}
