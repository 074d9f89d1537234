// grad_x = Wᵀ grad_y. W is [outputs, inputs]. A tile is four samples by four inputs.

struct PlainLinearParams {
    batch: u32,
    inputs: u32,
    outputs: u32,
    weight: u32,
    has_bias: u32,
    bias: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainLinearParams;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;

fn store(sample: u32, input: u32, results: vec4<f32>) {
    if (sample >= params.batch) {
        return;
    }
    for (var i = 0u; i < 4u && input + i < params.inputs; i++) {
        let place = sample * params.inputs + input + i;
        var gradient = results[i];
        if (params.accumulate == 1u) {
            gradient += grad_x[place];
        }
        grad_x[place] = gradient;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let columns = tiles(params.inputs);
    if (index >= tiles(params.batch) * columns) {
        return;
    }
    let input = 4u * (index % columns);
    let sample = 4u * (index / columns);
    let w = params.weight + four_from(input, params.inputs);
    let row = four_from(sample, params.batch) * params.outputs;

    var sum_0 = vec4<f32>(0.0);
    var sum_1 = vec4<f32>(0.0);
    var sum_2 = vec4<f32>(0.0);
    var sum_3 = vec4<f32>(0.0);
    for (var o = 0u; o < params.outputs; o++) {
        let tap = w + o * params.inputs;
        let weight = vec4<f32>(weights[tap.x], weights[tap.y], weights[tap.z], weights[tap.w]);
        sum_0 += grad_y[row.x + o] * weight;
        sum_1 += grad_y[row.y + o] * weight;
        sum_2 += grad_y[row.z + o] * weight;
        sum_3 += grad_y[row.w + o] * weight;
    }
    store(sample, input, sum_0);
    store(sample + 1u, input, sum_1);
    store(sample + 2u, input, sum_2);
    store(sample + 3u, input, sum_3);
}
