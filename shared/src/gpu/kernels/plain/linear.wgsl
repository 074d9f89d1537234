// y = W x + b on vectors. W is [outputs, inputs]. A tile is four samples by four outputs.

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
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn store(sample: u32, output: u32, results: vec4<f32>) {
    if (sample >= params.batch) {
        return;
    }
    for (var i = 0u; i < 4u && output + i < params.outputs; i++) {
        y[sample * params.outputs + output + i] = results[i];
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let columns = tiles(params.outputs);
    if (index >= tiles(params.batch) * columns) {
        return;
    }
    let output = 4u * (index % columns);
    let sample = 4u * (index / columns);
    let outputs = four_from(output, params.outputs);
    let w = params.weight + outputs * params.inputs;
    let row = four_from(sample, params.batch) * params.inputs;

    var bias = vec4<f32>(0.0);
    if (params.has_bias == 1u) {
        let b = params.bias + outputs;
        bias = vec4<f32>(weights[b.x], weights[b.y], weights[b.z], weights[b.w]);
    }
    var sum_0 = bias;
    var sum_1 = bias;
    var sum_2 = bias;
    var sum_3 = bias;
    for (var i = 0u; i < params.inputs; i++) {
        let weight = vec4<f32>(weights[w.x + i], weights[w.y + i], weights[w.z + i], weights[w.w + i]);
        sum_0 += x[row.x + i] * weight;
        sum_1 += x[row.y + i] * weight;
        sum_2 += x[row.z + i] * weight;
        sum_3 += x[row.w + i] * weight;
    }
    store(sample, output, sum_0);
    store(sample + 1u, output, sum_1);
    store(sample + 2u, output, sum_2);
    store(sample + 3u, output, sum_3);
}
