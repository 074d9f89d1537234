// Gradient of upsample_bilinear in its input: each small pixel collects from the large ones near it.

struct PlainUpsampleParams {
    planes: u32,
    height: u32,
    width: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainUpsampleParams;
@group(0) @binding(1) var<storage, read> grad_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> grad_x: array<f32>;

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
    if (index >= params.planes * params.height * params.width) {
        return;
    }
    let column = index % params.width;
    let row = index / params.width % params.height;
    let image = index / (params.width * params.height) * 2u * params.height;
    var sum = 0.0;
    for (var i = first(row); i <= last(row, params.height); i++) {
        let down = share(i, row, params.height);
        for (var j = first(column); j <= last(column, params.width); j++) {
            sum += down * share(j, column, params.width) * grad_y[(image + i) * 2u * params.width + j];
        }
    }
    if (params.accumulate == 1u) {
        sum += grad_x[index];
    }
    grad_x[index] = sum;
}
