// Gradient of pool in its input.

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
    let at = plane_of(index, params.height, params.width);
    if (at.index >= params.planes) {
        return;
    }
    let height = params.height / params.window_height;
    let width = params.width / params.window_width;
    let row = at.row / params.window_height;
    let column = at.column / params.window_width;
    var gradient = vec4<f32>(0.0);
    if (row < height && column < width) {
        gradient = x[place_in(at.index, row, column, height, width, params.small_border)]
            * (1.0 / f32(params.window_height * params.window_width));
    }
    let place = place_in(at.index, at.row, at.column, params.height, params.width, params.border);
    finish(place, gradient);
}
