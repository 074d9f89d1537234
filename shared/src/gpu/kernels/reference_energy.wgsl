// energy += ‖x‖² · half_precision, with half_precision = 1 / 2τ². One workgroup a chain.

struct ReferenceEnergyParams {
    chains: u32,
    len: u32,
    half_precision: f32,
}

@group(0) @binding(0) var<uniform> params: ReferenceEnergyParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> energy: array<f32>;

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
    var sum = 0.0;
    for (var i = lane; i < params.len; i += 64u) {
        let v = x[chain * params.len + i];
        sum += v * v;
    }
    let squares = workgroup_sum(lane, sum);
    if (lane == 0u) {
        energy[chain] = energy[chain] + squares * params.half_precision;
    }
}
