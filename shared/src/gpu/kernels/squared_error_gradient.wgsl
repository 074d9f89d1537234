// Gradient of ‖generated - observed‖² · mask / σ² in the generated data; weight = 2 / σ².

struct SquaredErrorGradientParams {
    elements: u32,
    weight: f32,
}

@group(0) @binding(0) var<uniform> params: SquaredErrorGradientParams;
@group(0) @binding(1) var<storage, read> generated: array<f32>;
@group(0) @binding(2) var<storage, read> observed: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.elements) {
        return;
    }
    gradient[index] = params.weight * mask[index] * (generated[index] - observed[index]);
}
