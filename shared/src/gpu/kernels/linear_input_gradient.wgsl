// grad_x = Wᵀ grad_y. W is [outputs, inputs].

struct Params {
    batch: u32,
    inputs: u32,
    outputs: u32,
    weight: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.batch * params.inputs) {
        return;
    }
    let input = index % params.inputs;
    let row = index / params.inputs * params.outputs;
    var sum = 0.0;
    for (var o = 0u; o < params.outputs; o++) {
        sum += weights[params.weight + o * params.inputs + input] * grad_y[row + o];
    }
    if (params.accumulate == 1u) {
        sum += grad_x[index];
    }
    grad_x[index] = sum;
}
