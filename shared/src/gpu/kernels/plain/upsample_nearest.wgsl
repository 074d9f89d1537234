// Nearest-neighbour upsampling by two: [planes, height, width] to [planes, 2 height, 2 width].

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
    let out_width = 2u * params.width;
    let out_height = 2u * params.height;
    if (index >= params.planes * out_height * out_width) {
        return;
    }
    let column = index % out_width / 2u;
    let row = index / out_width % out_height / 2u;
    let plane = index / (out_width * out_height);
    y[index] = x[(plane * params.height + row) * params.width + column];
}
