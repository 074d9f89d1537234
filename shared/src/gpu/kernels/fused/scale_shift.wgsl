// A factor and a term for each channel, or the factor alone: the gradient.

struct ScaleShiftParams {
    slope: f32,
    samples: u32,
    channels: u32,
    height: u32,
    width: u32,
    border: u32,
    out_border: u32,
    scale: u32,
    shift: u32,
    // 1 forward, 0 for the gradient.
    shifts: f32,
}

@group(0) @binding(0) var<uniform> params: ScaleShiftParams;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let at = plane_of(index, params.height, params.width);
    let planes = (params.channels + 3u) / 4u;
    if (at.index >= params.samples * planes) {
        return;
    }
    let channel = at.index % planes * 4u;
    var scale = vec4<f32>(0.0);
    var shift = vec4<f32>(0.0);
    for (var i = 0u; i < 4u && channel + i < params.channels; i++) {
        scale[i] = weights[params.scale + channel + i];
        shift[i] = params.shifts * weights[params.shift + channel + i];
    }
    let source = place_in(at.index, at.row, at.column, params.height, params.width, params.border);
    let place = place_in(at.index, at.row, at.column, params.height, params.width, params.out_border);
    finish(place, scale * x[source] + shift);
}
