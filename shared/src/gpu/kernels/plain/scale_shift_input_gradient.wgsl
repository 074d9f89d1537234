// Gradient of scale_shift: grad_x = scale[c] grad_y.

struct PlainScaleShiftParams {
    elements: u32,
    channels: u32,
    positions: u32,
    scale: u32,
    shift: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainScaleShiftParams;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.elements) {
        return;
    }
    let channel = index / params.positions % params.channels;
    var gradient = weights[params.scale + channel] * grad_y[index];
    if (params.accumulate == 1u) {
        gradient += grad_x[index];
    }
    grad_x[index] = gradient;
}
