// A copy and nothing else: what a device's memory can do at most.

struct PeakCopyParams {
    elements: u32,
}

@group(0) @binding(0) var<uniform> params: PeakCopyParams;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.elements) {
        return;
    }
    y[index] = x[index];
}
