// Upsampling by two, bilinear, with aligned corners.

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

fn small(plane: u32, row: u32, column: u32) -> vec4<f32> {
    return x[place_in(plane, row, column, params.height, params.width, params.border)];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let at = plane_of(index, 2u * params.height, 2u * params.width);
    if (at.index >= params.planes) {
        return;
    }
    let down = between(at.row, params.height);
    let right = between(at.column, params.width);
    let below = min(down.pixel + 1u, params.height - 1u);
    let next = min(right.pixel + 1u, params.width - 1u);
    let upper = mix(small(at.index, down.pixel, right.pixel), small(at.index, down.pixel, next), right.share);
    let lower = mix(small(at.index, below, right.pixel), small(at.index, below, next), right.share);
    let place = place_in(
        at.index, at.row, at.column, 2u * params.height, 2u * params.width, params.large_border,
    );
    finish(place, mix(upper, lower, down.share));
}
