// The same numbers in the same order under another layout, and zeros in lanes without a channel.

struct ReshapeParams {
    samples: u32,
    accumulate: u32,
    from_channels: u32,
    from_height: u32,
    from_width: u32,
    from_border: u32,
    from_lanes: u32,
    to_channels: u32,
    to_height: u32,
    to_width: u32,
    to_border: u32,
    to_lanes: u32,
}

@group(0) @binding(0) var<uniform> params: ReshapeParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

struct Layout {
    channels: u32,
    height: u32,
    width: u32,
    border: u32,
    lanes: u32,
}

fn planes(shape: Layout) -> u32 {
    return (shape.channels + shape.lanes - 1u) / shape.lanes;
}

fn place_of(sample: u32, number: u32, shape: Layout) -> u32 {
    let at = plane_of(number, shape.height, shape.width);
    let plane = sample * planes(shape) + at.index / shape.lanes;
    return place_in(plane, at.row, at.column, shape.height, shape.width, shape.border) * shape.lanes
        + at.index % shape.lanes;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    let to = Layout(params.to_channels, params.to_height, params.to_width, params.to_border, params.to_lanes);
    let len = planes(to) * to.lanes * to.height * to.width;
    if (index >= params.samples * len) {
        return;
    }
    let source = Layout(
        params.from_channels, params.from_height, params.from_width, params.from_border, params.from_lanes,
    );
    let sample = index / len;
    let number = index % len;
    let place = place_of(sample, number, to);
    var v = 0.0;
    if (number < to.channels * to.height * to.width) {
        v = x[place_of(sample, number, source)];
        if (params.accumulate == 1u) {
            v += y[place];
        }
    }
    y[place] = v;
}
