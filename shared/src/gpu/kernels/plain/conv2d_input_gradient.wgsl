// Gradient of conv2d in its input: a transposed convolution, which may have a bias. Weights are
// [out, in, kernel, kernel]; grad_x is [in, height, width], grad_y [out, out_height, out_width].
// A tile is four positions by four input channels of one sample.

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
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;

fn store(sample: u32, channel: u32, position: u32, results: vec4<f32>) {
    let positions = params.height * params.width;
    if (channel >= params.in_channels) {
        return;
    }
    let plane = (sample * params.in_channels + channel) * positions;
    var bias = 0.0;
    if (params.has_bias == 1u) {
        bias = weights[params.bias + channel];
    }
    for (var i = 0u; i < 4u && position + i < positions; i++) {
        let place = plane + position + i;
        var gradient = results[i] + bias;
        if (params.accumulate == 1u) {
            gradient += grad_x[place];
        }
        grad_x[place] = gradient;
    }
}

// Whether windows have their tap `k` on padded places: such a window starts at the place minus k.
fn are_windows(places: vec4<u32>, k: u32, windows: u32) -> vec4<bool> {
    let starts = places - k;
    return (places >= vec4<u32>(k)) & (starts % params.stride == vec4<u32>(0u))
        & (starts / params.stride < vec4<u32>(windows));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let positions = params.height * params.width;
    let columns = tiles(positions);
    let rows = tiles(params.in_channels);
    if (index >= params.batch * rows * columns) {
        return;
    }
    let position = 4u * (index % columns);
    let channel = 4u * (index / columns % rows);
    let sample = index / (columns * rows);

    let places = four_from(position, positions);
    let padded_y = places / params.width + params.padding;
    let padded_x = places % params.width + params.padding;
    let taps = params.kernel * params.kernel;
    let w = params.weight + four_from(channel, params.in_channels) * taps;
    let out_positions = params.out_height * params.out_width;
    let image = sample * params.out_channels * out_positions;

    var sum_0 = vec4<f32>(0.0);
    var sum_1 = vec4<f32>(0.0);
    var sum_2 = vec4<f32>(0.0);
    var sum_3 = vec4<f32>(0.0);
    for (var ky = 0u; ky < params.kernel; ky++) {
        let in_rows = are_windows(padded_y, ky, params.out_height);
        for (var kx = 0u; kx < params.kernel; kx++) {
            let inside = in_rows & are_windows(padded_x, kx, params.out_width);
            if (!any(inside)) {
                continue;
            }
            // Where there is no window any element may be read: it counts as zero.
            let window = (padded_y - ky) / params.stride * params.out_width + (padded_x - kx) / params.stride;
            var p = image + select(vec4<u32>(0u), window, inside);
            var tap = w + ky * params.kernel + kx;
            for (var output = 0u; output < params.out_channels; output++) {
                let read = vec4<f32>(grad_y[p.x], grad_y[p.y], grad_y[p.z], grad_y[p.w]);
                let v = select(vec4<f32>(0.0), read, inside);
                sum_0 += weights[tap.x] * v;
                sum_1 += weights[tap.y] * v;
                sum_2 += weights[tap.z] * v;
                sum_3 += weights[tap.w] * v;
                p = p + out_positions;
                tap = tap + params.in_channels * taps;
            }
        }
    }
    store(sample, channel, position, sum_0);
    store(sample, channel + 1u, position, sum_1);
    store(sample, channel + 2u, position, sum_2);
    store(sample, channel + 3u, position, sum_3);
}
