// error = Σ mask (generated - observed)². One workgroup a chain.

struct SquaredErrorParams {
    chains: u32,
    len: u32,
}

@group(0) @binding(0) var<uniform> params: SquaredErrorParams;
@group(0) @binding(1) var<storage, read> generated: array<f32>;
@group(0) @binding(2) var<storage, read> observed: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> error: array<f32>;

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
        let index = chain * params.len + i;
        let difference = generated[index] - observed[index];
        sum += mask[index] * difference * difference;
    }
    let total = workgroup_sum(lane, sum);
    if (lane == 0u) {
        error[chain] = total;
    }
}
