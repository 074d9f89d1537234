// 2-D cross-correlation, zero padded. Weights are [out, in, kernel, kernel], images [C, H, W].

struct Params {
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
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let positions = params.out_height * params.out_width;
    if (index >= params.batch * params.out_channels * positions) {
        return;
    }
    let column = index % params.out_width;
    let row = index / params.out_width % params.out_height;
    let output = index / positions % params.out_channels;
    let sample = index / (positions * params.out_channels);

    // The window's corner on the padded image, and which of its taps lie on the image itself.
    let top = row * params.stride;
    let left = column * params.stride;
    let first_y = params.padding - min(params.padding, top);
    let first_x = params.padding - min(params.padding, left);
    let end_y = min(params.kernel, params.height + params.padding - top);
    let end_x = min(params.kernel, params.width + params.padding - left);

    var sum = 0.0;
    if (params.has_bias == 1u) {
        sum = weights[params.bias + output];
    }
    for (var channel = 0u; channel < params.in_channels; channel++) {
        let plane = (sample * params.in_channels + channel) * params.height;
        let window = (output * params.in_channels + channel) * params.kernel;
        for (var ky = first_y; ky < end_y; ky++) {
            let line = (plane + top + ky - params.padding) * params.width + left - params.padding;
            let taps = params.weight + (window + ky) * params.kernel;
            for (var kx = first_x; kx < end_x; kx++) {
                sum += weights[taps + kx] * x[line + kx];
            }
        }
    }
    y[index] = sum;
}
