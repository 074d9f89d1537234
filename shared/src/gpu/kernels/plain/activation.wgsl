// A pointwise function: y = f(x).

struct PlainActivationParams {
    elements: u32,
    function: u32,
    slope: f32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainActivationParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.elements) {
        return;
    }
    let v = x[index];
    var result = v;
    if (params.function == SILU) {
        result = v * sigmoid(v);
    } else if (params.function == TANH) {
        result = hyperbolic_tangent(v);
    } else if (v < 0.0) {
        result = v * params.slope;
    }
    y[index] = result;
}
