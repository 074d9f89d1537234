// Gradient of average_pool: each input gets its share of its window's.

struct PlainPoolParams {
    planes: u32,
    height: u32,
    width: u32,
    window_height: u32,
    window_width: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainPoolParams;
@group(0) @binding(1) var<storage, read> grad_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> grad_x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.planes * params.height * params.width) {
        return;
    }
    let out_width = params.width / params.window_width;
    let out_height = params.height / params.window_height;
    let column = index % params.width / params.window_width;
    let row = index / params.width % params.height / params.window_height;
    let plane = index / (params.width * params.height);
    let share = 1.0 / f32(params.window_height * params.window_width);
    var gradient = grad_y[(plane * out_height + row) * out_width + column] * share;
    if (params.accumulate == 1u) {
        gradient += grad_x[index];
    }
    grad_x[index] = gradient;
}
