// Gradient of upsample_nearest: each input gets the sum over its four copies.

struct PlainUpsampleParams {
    planes: u32,
    height: u32,
    width: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainUpsampleParams;
@group(0) @binding(1) var<storage, read> grad_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> grad_x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.planes * params.height * params.width) {
        return;
    }
    let column = index % params.width;
    let line = index / params.width;
    let top = 4u * line * params.width + 2u * column;
    let bottom = top + 2u * params.width;
    var sum = grad_y[top] + grad_y[top + 1u] + (grad_y[bottom] + grad_y[bottom + 1u]);
    if (params.accumulate == 1u) {
        sum += grad_x[index];
    }
    grad_x[index] = sum;
}
