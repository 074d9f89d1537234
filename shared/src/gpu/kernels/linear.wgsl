// y = W x + b on vectors. W is [outputs, inputs].

struct Params {
    batch: u32,
    inputs: u32,
    outputs: u32,
    weight: u32,
    has_bias: u32,
    bias: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.batch * params.outputs) {
        return;
    }
    let output = index % params.outputs;
    let row = index / params.outputs * params.inputs;
    let weight = params.weight + output * params.inputs;
    var sum = 0.0;
    if (params.has_bias == 1u) {
        sum = weights[params.bias + output];
    }
    for (var i = 0u; i < params.inputs; i++) {
        sum += weights[weight + i] * x[row + i];
    }
    y[index] = sum;
}
