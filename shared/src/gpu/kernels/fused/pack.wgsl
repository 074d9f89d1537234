// The weights of a correlation in the order in which `correlate.wgsl` reads them:
// [group of outputs, phase, tap row, group of taps, input element, tap, output element, input lane], each
// an element of four outputs; of a single output [.., tap], an element of its input's lanes.

struct PackParams {
    count: u32,
    blocks: u32,
    phases_y: u32,
    phases_x: u32,
    taps: u32,
    tap_groups: u32,
    together: u32,
    inputs: u32,
    lanes: u32,
    narrow: u32,
    out_channels: u32,
    in_channels: u32,
    kernel_y: u32,
    kernel_x: u32,
    padding: u32,
    // 0 for a window: its taps are the kernel's. Those of a spread run backwards, a stride apart.
    stride: u32,
    sums: u32,
    source: u32,
    source_output: u32,
    source_input: u32,
    source_y: u32,
    source_x: u32,
    scaled: u32,
    scale: u32,
}

@group(0) @binding(0) var<uniform> params: PackParams;
@group(0) @binding(1) var<storage, read> flat: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4<f32>>;

// The kernel's row or column of a tap.
fn of_tap(phase: u32, tap: u32, taps: u32) -> u32 {
    if (params.stride == 0u) {
        return tap;
    }
    return (phase + params.padding) % params.stride + params.stride * (taps - 1u - tap);
}

fn weight(output: u32, input: u32, ky: u32, kx: u32) -> f32 {
    if (output >= params.out_channels || input >= params.in_channels
        || ky >= params.kernel_y || kx >= params.kernel_x) {
        return 0.0;
    }
    let start = params.source + output * params.source_output + input * params.source_input;
    var w = 0.0;
    if (params.sums == 1u) {
        // Rows and columns of a 3 × 3 kernel that fall on the same place before upsampling.
        let last_y = min(3u - ky, 2u);
        let last_x = min(3u - kx, 2u);
        for (var i = 2u - min(ky, 2u); i <= last_y; i++) {
            for (var j = 2u - min(kx, 2u); j <= last_x; j++) {
                w += flat[start + i * params.source_y + j * params.source_x];
            }
        }
    } else {
        w = flat[start + ky * params.source_y + kx * params.source_x];
    }
    if (params.scaled == 1u) {
        w *= flat[params.scale + output];
    } else if (params.scaled == 2u) {
        w *= flat[params.scale + input];
    }
    return w;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.count) {
        return;
    }
    var i = index;
    var lane = 0u;
    var block = 0u;
    if (params.narrow == 0u) {
        lane = i % params.lanes;
        i = i / params.lanes;
        block = i % params.blocks;
        i = i / params.blocks;
    }
    let tap = i % params.together;
    i = i / params.together;
    let input = i % params.inputs * params.lanes + lane;
    i = i / params.inputs;
    let tap_x = i % params.tap_groups * params.together + tap;
    i = i / params.tap_groups;
    let tap_y = i % params.taps;
    i = i / params.taps;
    let phase_x = i % params.phases_x;
    i = i / params.phases_x;
    let ky = of_tap(i % params.phases_y, tap_y, params.taps);
    let kx = of_tap(phase_x, tap_x, params.tap_groups * params.together);
    let group = i / params.phases_y;
    var four = vec4<f32>(0.0);
    for (var j = 0u; j < 4u; j++) {
        if (params.narrow == 0u) {
            four[j] = weight((group * params.blocks + block) * 4u + j, input, ky, kx);
        } else if (j < params.lanes) {
            four[j] = weight(0u, input + j, ky, kx);
        }
    }
    packed[index] = four;
}
