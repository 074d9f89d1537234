// As pool.wgsl, for large windows: a workgroup for each.

struct PoolParams {
    slope: f32,
    planes: u32,
    // Of the large planes.
    height: u32,
    width: u32,
    border: u32,
    small_border: u32,
    window_height: u32,
    window_width: u32,
}

@group(0) @binding(0) var<uniform> params: PoolParams;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

var<workgroup> partial: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(local_invocation_index) thread: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let height = params.height / params.window_height;
    let width = params.width / params.window_width;
    let at = plane_of(group.y * groups.x + group.x, height, width);
    if (at.index >= params.planes) {
        return;
    }
    let line = params.width + 2u * params.border;
    let corner = place_in(
        at.index, at.row * params.window_height, at.column * params.window_width,
        params.height, params.width, params.border,
    );
    let area = params.window_height * params.window_width;
    var sum = vec4<f32>(0.0);
    for (var i = thread; i < area; i += 64u) {
        sum += x[corner + i / params.window_width * line + i % params.window_width];
    }
    partial[thread] = sum;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            partial[thread] += partial[thread + half];
        }
    }
    if (thread == 0u) {
        let place = place_in(at.index, at.row, at.column, height, width, params.small_border);
        finish(place, partial[0] * (1.0 / f32(area)));
    }
}
