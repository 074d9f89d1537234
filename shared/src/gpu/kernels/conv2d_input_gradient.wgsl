// Gradient of conv2d in its input (a transposed convolution). Weights are
// [out, in, kernel, kernel]; grad_x is [in, height, width], grad_y [out, out_height, out_width].

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
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;

// Whether some window has its tap `k` on padded position `position`: it then starts there minus k.
fn is_window(position: u32, k: u32, windows: u32) -> bool {
    if (position < k) {
        return false;
    }
    let start = position - k;
    return start % params.stride == 0u && start / params.stride < windows;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let positions = params.height * params.width;
    if (index >= params.batch * params.in_channels * positions) {
        return;
    }
    let padded_x = index % params.width + params.padding;
    let padded_y = index / params.width % params.height + params.padding;
    let channel = index / positions % params.in_channels;
    let sample = index / (positions * params.in_channels);
    let window = params.in_channels * params.kernel * params.kernel;
    let out_positions = params.out_height * params.out_width;

    var sum = 0.0;
    for (var ky = 0u; ky < params.kernel; ky++) {
        if (!is_window(padded_y, ky, params.out_height)) {
            continue;
        }
        let row = (padded_y - ky) / params.stride;
        for (var kx = 0u; kx < params.kernel; kx++) {
            if (!is_window(padded_x, kx, params.out_width)) {
                continue;
            }
            let column = (padded_x - kx) / params.stride;
            let tap = params.weight + (channel * params.kernel + ky) * params.kernel + kx;
            let place = sample * params.out_channels * out_positions + row * params.out_width + column;
            for (var output = 0u; output < params.out_channels; output++) {
                sum += weights[tap + output * window] * grad_y[place + output * out_positions];
            }
        }
    }
    if (params.accumulate == 1u) {
        sum += grad_x[index];
    }
    grad_x[index] = sum;
}
