// One Langevin update of every chain: state ← state - (s²/2) gradient + n ε. An invocation takes
// the four elements that share a block of random numbers. `record.wgsl` explains the counter.

struct Params {
    chains: u32,
    len: u32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
    first_chain: u32,
    first_step: u32,
    half_squared_step: f32,
    noise: f32,
    clamps_gradient: u32,
    gradient_clamp: f32,
    clamps_range: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> steps: array<u32>;

// By its bits: a shader compiler may assume that `x != x` never holds.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let blocks = (params.len + 3u) / 4u;
    if (index >= params.chains * blocks) {
        return;
    }
    let chain = index / blocks;
    let block = index % blocks;
    let taken = steps[1];
    if (index == 0u) {
        steps[0] = taken + 1u;
    }

    var noise = vec4<f32>(0.0);
    if (params.noise != 0.0) {
        let counter = vec4<u32>(
            block, params.first_chain + chain, params.first_step + taken, params.stream,
        );
        noise = params.noise * normals(philox(counter, vec2<u32>(params.seed_low, params.seed_high)));
    }
    for (var i = 0u; i < 4u; i++) {
        let element = 4u * block + i;
        if (element >= params.len) {
            break;
        }
        let place = chain * params.len + element;
        // A clamp would turn NaN into a number and hide it.
        var gradient = gradients[place];
        if (params.clamps_gradient == 1u && !is_nan(gradient)) {
            gradient = clamp(gradient, -params.gradient_clamp, params.gradient_clamp);
        }
        var next = state[place] - params.half_squared_step * gradient + noise[i];
        if (params.clamps_range == 1u && !is_nan(next)) {
            next = clamp(next, params.low, params.high);
        }
        state[place] = next;
    }
}
