// MALA: accept or reject the proposals, one workgroup a chain. `current` holds the chains' states,
// `current_gradients` and `current_energies` what was measured there; the others are the proposals'.

struct AcceptParams {
    chains: u32,
    len: u32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
    first_chain: u32,
    first_step: u32,
    half_squared_step: f32,
    noise: f32,
    temperature: f32,
    // Take the proposals as the states, whatever they are.
    start: u32,
}

@group(0) @binding(0) var<uniform> params: AcceptParams;
@group(0) @binding(1) var<storage, read> proposed: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read> energies: array<f32>;
@group(0) @binding(4) var<storage, read_write> current: array<f32>;
@group(0) @binding(5) var<storage, read_write> current_gradients: array<f32>;
@group(0) @binding(6) var<storage, read_write> current_energies: array<f32>;
// The step counter, and behind its two words how many proposals of each chain were accepted.
@group(0) @binding(7) var<storage, read_write> steps: array<u32>;

var<workgroup> accepted: bool;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chain = group.y * groups.x + group.x;
    if (chain >= params.chains) {
        return;
    }
    var squares = 0.0;
    for (var i = lane; i < params.len; i += 64u) {
        let place = chain * params.len + i;
        let shift = proposed[place] - current[place];
        let there = shift + params.half_squared_step * current_gradients[place];
        let back = params.half_squared_step * gradients[place] - shift;
        squares += there * there - back * back;
    }
    let difference = workgroup_sum(lane, squares);
    if (lane == 0u) {
        // `record` has left the number of this step there.
        let step = params.first_step + steps[1];
        let counter = vec4<u32>(0u, params.first_chain + chain, step, params.stream);
        let uniform_bits = philox(counter, vec2<u32>(params.seed_low, params.seed_high)).x;
        let log_ratio = (current_energies[chain] - energies[chain]) / params.temperature
            + 0.5 * difference / (params.noise * params.noise);
        accepted = params.start == 1u || natural_logarithm(uniform_number(uniform_bits)) < log_ratio;
        if (params.start == 0u && accepted) {
            steps[2u + chain] += 1u;
        }
    }
    workgroupBarrier();
    if (!accepted) {
        return;
    }
    for (var i = lane; i < params.len; i += 64u) {
        let place = chain * params.len + i;
        current[place] = proposed[place];
        current_gradients[place] = gradients[place];
    }
    if (lane == 0u) {
        current_energies[chain] = energies[chain];
    }
}
