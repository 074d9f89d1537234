// One value added to another, or copied over it.

struct AddParams {
    elements: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: AddParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.elements) {
        return;
    }
    var sum = x[index];
    if (params.accumulate == 1u) {
        sum += y[index];
    }
    y[index] = sum;
}
