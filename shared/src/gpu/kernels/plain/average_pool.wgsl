// Average over windows that do not overlap: [planes, height, width] to
// [planes, height / window_height, width / window_width].

struct PlainPoolParams {
    planes: u32,
    height: u32,
    width: u32,
    window_height: u32,
    window_width: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainPoolParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let out_width = params.width / params.window_width;
    let out_height = params.height / params.window_height;
    if (index >= params.planes * out_height * out_width) {
        return;
    }
    let column = index % out_width * params.window_width;
    let row = index / out_width % out_height * params.window_height;
    let plane = index / (out_width * out_height);
    var sum = 0.0;
    for (var ky = 0u; ky < params.window_height; ky++) {
        let line = (plane * params.height + row + ky) * params.width + column;
        for (var kx = 0u; kx < params.window_width; kx++) {
            sum += x[line + kx];
        }
    }
    y[index] = sum * (1.0 / f32(params.window_height * params.window_width));
}
