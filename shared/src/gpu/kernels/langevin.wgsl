// One Langevin update of every chain. An invocation takes the four elements that share a block of random numbers.
// `record.wgsl` explains the counter.

@group(0) @binding(0) var<uniform> params: LangevinParams;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> steps: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let blocks = (params.len + 3u) / 4u;
    let chain = index / blocks;
    let block = index % blocks;
    if (chain >= params.chains) {
        return;
    }
    let taken = steps[1];
    if (index == 0u) {
        steps[0] = taken + 1u;
    }
    let noise = noise_of(params, chain, block, taken);
    for (var i = 0u; i < 4u; i++) {
        let element = 4u * block + i;
        if (element >= params.len) {
            break;
        }
        let place = chain * params.len + element;
        state[place] = updated(params, state[place], gradients[place], noise[i]);
    }
}
