// Gradient of bilinear in its input: each small place collects from the large ones near it.

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

// Share of small pixel `pixel` of `n` in large pixel `i`.
fn share(i: u32, pixel: u32, n: u32) -> f32 {
    let place = between(i, n);
    return select(0.0, 1.0 - place.share, place.pixel == pixel)
        + select(0.0, place.share, place.pixel + 1u == pixel);
}

// The large pixels that pixel `pixel` of `n` may have a share in.
fn first(pixel: u32) -> u32 {
    return 2u * max(pixel, 1u) - 2u;
}
fn last(pixel: u32, n: u32) -> u32 {
    return min(2u * pixel + 3u, 2u * n - 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let at = plane_of(index, params.height, params.width);
    if (at.index >= params.planes) {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var i = first(at.row); i <= last(at.row, params.height); i++) {
        let down = share(i, at.row, params.height);
        for (var j = first(at.column); j <= last(at.column, params.width); j++) {
            let source = place_in(at.index, i, j, 2u * params.height, 2u * params.width, params.large_border);
            sum += down * share(j, at.column, params.width) * x[source];
        }
    }
    finish(place_in(at.index, at.row, at.column, params.height, params.width, params.border), sum);
}
