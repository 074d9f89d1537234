// Gradient of upsample in its input.

struct UpsampleParams {
    slope: f32,
    planes: u32,
    // Of the small planes.
    height: u32,
    width: u32,
    border: u32,
    large_border: u32,
}

@group(0) @binding(0) var<uniform> params: UpsampleParams;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let at = plane_of(index, params.height, params.width);
    if (at.index >= params.planes) {
        return;
    }
    let line = 2u * params.width + 2u * params.large_border;
    let source = place_in(
        at.index, 2u * at.row, 2u * at.column, 2u * params.height, 2u * params.width, params.large_border,
    );
    let place = place_in(at.index, at.row, at.column, params.height, params.width, params.border);
    finish(place, x[source] + x[source + 1u] + x[source + line] + x[source + line + 1u]);
}
