// 2-D cross-correlation, zero padded. Weights are [out, in, kernel, kernel], images [C, H, W].
// A tile is four positions by four output channels of one sample.

struct PlainConv2dParams {
    batch: u32,
    in_channels: u32,
    height: u32,
    width: u32,
    out_channels: u32,
    out_height: u32,
    out_width: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
    weight: u32,
    has_bias: u32,
    bias: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainConv2dParams;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn store(sample: u32, output: u32, position: u32, results: vec4<f32>) {
    let positions = params.out_height * params.out_width;
    if (output >= params.out_channels) {
        return;
    }
    let plane = (sample * params.out_channels + output) * positions;
    for (var i = 0u; i < 4u && position + i < positions; i++) {
        let place = plane + position + i;
        var result = results[i];
        if (params.accumulate == 1u) {
            result += y[place];
        }
        y[place] = result;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let positions = params.out_height * params.out_width;
    let columns = tiles(positions);
    let rows = tiles(params.out_channels);
    if (index >= params.batch * rows * columns) {
        return;
    }
    let position = 4u * (index % columns);
    let output = 4u * (index / columns % rows);
    let sample = index / (columns * rows);

    // The windows' corners on the padded image.
    let places = four_from(position, positions);
    let top = places / params.out_width * params.stride;
    let left = places % params.out_width * params.stride;
    let outputs = four_from(output, params.out_channels);
    let taps = params.kernel * params.kernel;
    let w = params.weight + outputs * (params.in_channels * taps);
    let image = sample * params.in_channels * params.height * params.width;

    var bias = vec4<f32>(0.0);
    if (params.has_bias == 1u) {
        let b = params.bias + outputs;
        bias = vec4<f32>(weights[b.x], weights[b.y], weights[b.z], weights[b.w]);
    }
    var sum_0 = vec4<f32>(bias.x);
    var sum_1 = vec4<f32>(bias.y);
    var sum_2 = vec4<f32>(bias.z);
    var sum_3 = vec4<f32>(bias.w);
    for (var ky = 0u; ky < params.kernel; ky++) {
        let py = top + ky;
        let in_rows = (py >= vec4<u32>(params.padding)) & (py < vec4<u32>(params.padding + params.height));
        for (var kx = 0u; kx < params.kernel; kx++) {
            let px = left + kx;
            let inside = in_rows & (px >= vec4<u32>(params.padding))
                & (px < vec4<u32>(params.padding + params.width));
            if (!any(inside)) {
                continue;
            }
            // Of a place in the padding any element may be read: it counts as zero.
            let pixel = (py - params.padding) * params.width + px - params.padding;
            var p = image + select(vec4<u32>(0u), pixel, inside);
            var tap = w + ky * params.kernel + kx;
            for (var channel = 0u; channel < params.in_channels; channel++) {
                let read = vec4<f32>(x[p.x], x[p.y], x[p.z], x[p.w]);
                let v = select(vec4<f32>(0.0), read, inside);
                sum_0 += weights[tap.x] * v;
                sum_1 += weights[tap.y] * v;
                sum_2 += weights[tap.z] * v;
                sum_3 += weights[tap.w] * v;
                p = p + params.height * params.width;
                tap = tap + taps;
            }
        }
    }
    store(sample, output, position, sum_0);
    store(sample, output + 1u, position, sum_1);
    store(sample, output + 2u, position, sum_2);
    store(sample, output + 3u, position, sum_3);
}
