// [C, H, W] to [C, 2H, 2W], bilinear, with aligned corners.

struct PlainUpsampleParams {
    planes: u32,
    height: u32,
    width: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainUpsampleParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let columns = 2u * params.width;
    let rows = 2u * params.height;
    if (index >= params.planes * rows * columns) {
        return;
    }
    let down = between(index / columns % rows, params.height);
    let right = between(index % columns, params.width);
    let image = index / (columns * rows) * params.height;
    let top = (image + down.pixel) * params.width;
    let bottom = (image + min(down.pixel + 1u, params.height - 1u)) * params.width;
    let next = min(right.pixel + 1u, params.width - 1u);
    let above = mix(x[top + right.pixel], x[top + next], right.share);
    let below = mix(x[bottom + right.pixel], x[bottom + next], right.share);
    y[index] = mix(above, below, down.share);
}
