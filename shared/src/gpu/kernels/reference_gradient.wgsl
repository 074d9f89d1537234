// grad_x += grad_energy · x · inverse_variance, which is 1 / τ² for an energy's reference and 1 for
// the prior of a latent.

struct ReferenceGradientParams {
    chains: u32,
    len: u32,
    inverse_variance: f32,
}

@group(0) @binding(0) var<uniform> params: ReferenceGradientParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> grad_energy: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.chains * params.len) {
        return;
    }
    let weight = grad_energy[index / params.len] * params.inverse_variance;
    grad_x[index] = grad_x[index] + weight * x[index];
}
