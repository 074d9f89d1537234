// The bias of a correlation: [group of outputs, phase, output element], with the shift that is folded in.

struct PackBiasParams {
    count: u32,
    first: u32,
    blocks: u32,
    phases: u32,
    out_channels: u32,
    has_bias: u32,
    bias: u32,
    bias_stride: u32,
    // Whether each phase has a bias of its own.
    by_phase: u32,
    scaled: u32,
    scale: u32,
    shift: u32,
}

@group(0) @binding(0) var<uniform> params: PackBiasParams;
@group(0) @binding(1) var<storage, read> flat: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.count) {
        return;
    }
    let block = index % params.blocks;
    let phase = index / params.blocks % params.phases;
    let group = index / (params.blocks * params.phases);
    var four = vec4<f32>(0.0);
    for (var j = 0u; j < 4u; j++) {
        let output = (group * params.blocks + block) * 4u + j;
        if (output >= params.out_channels) {
            break;
        }
        var b = 0.0;
        if (params.has_bias == 1u) {
            b = flat[params.bias + output * params.bias_stride + phase * params.by_phase];
        }
        if (params.scaled == 1u) {
            b = b * flat[params.scale + output] + flat[params.shift + output];
        }
        four[j] = b;
    }
    packed[params.first + index] = four;
}
