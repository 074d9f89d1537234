// Gradient of a pointwise function: grad_x = f'(x) grad_y.

struct PlainActivationParams {
    elements: u32,
    function: u32,
    slope: f32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: PlainActivationParams;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> grad_y: array<f32>;
@group(0) @binding(3) var<storage, read_write> grad_x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.elements) {
        return;
    }
    let v = x[index];
    var slope = 1.0;
    if (params.function == SILU) {
        let s = sigmoid(v);
        slope = s * (1.0 + v * (1.0 - s));
    } else if (params.function == TANH) {
        let t = hyperbolic_tangent(v);
        slope = 1.0 - t * t;
    } else if (v <= 0.0) {
        // At the kink itself the slope is that of the negative side, as in PyTorch.
        slope = params.slope;
    }
    var gradient = slope * grad_y[index];
    if (params.accumulate == 1u) {
        gradient += grad_x[index];
    }
    grad_x[index] = gradient;
}
