// Activations and their derivatives, four numbers at a time.

fn leaky_relu(v: vec4<f32>, slope: f32) -> vec4<f32> {
    return select(slope * v, v, v > vec4<f32>(0.0));
}

// From what it was applied to, or from its result, which have the same sign. At the kink itself the slope is that
// of the negative side, as in PyTorch.
fn leaky_relu_slope(v: vec4<f32>, slope: f32) -> vec4<f32> {
    return select(vec4<f32>(slope), vec4<f32>(1.0), v > vec4<f32>(0.0));
}

fn sigmoids(v: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(sigmoid(v.x), sigmoid(v.y), sigmoid(v.z), sigmoid(v.w));
}

fn silu(v: vec4<f32>) -> vec4<f32> {
    return v * sigmoids(v);
}

fn silu_slope(v: vec4<f32>) -> vec4<f32> {
    let s = sigmoids(v);
    return s * (1.0 + v * (1.0 - s));
}

fn hyperbolic_tangents(v: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(
        hyperbolic_tangent(v.x), hyperbolic_tangent(v.y), hyperbolic_tangent(v.z), hyperbolic_tangent(v.w),
    );
}

fn hyperbolic_tangents_slope(v: vec4<f32>) -> vec4<f32> {
    return hyperbolic_tangents_slope_of_result(hyperbolic_tangents(v));
}

fn hyperbolic_tangents_slope_of_result(t: vec4<f32>) -> vec4<f32> {
    return 1.0 - t * t;
}
