// Sigmoid and hyperbolic tangent that neither overflow nor cancel: WGSL's own may do both.

const LEAKY_RELU = 1u;
const SILU = 2u;
const TANH = 3u;

fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    if (x < 0.0) {
        return e / (1.0 + e);
    }
    return 1.0 / (1.0 + e);
}

// Cephes' tanhf: a polynomial near zero, exponentials beyond.
fn hyperbolic_tangent(x: f32) -> f32 {
    let size = abs(x);
    if (size < 0.625) {
        let z = x * x;
        var p = -5.7049887e-3;
        p = p * z + 2.0639088e-2;
        p = p * z - 5.3739715e-2;
        p = p * z + 1.3331442e-1;
        p = p * z - 3.3333282e-1;
        return p * z * x + x;
    }
    let e = exp(-2.0 * size);
    let t = (1.0 - e) / (1.0 + e);
    if (x < 0.0) {
        return -t;
    }
    return t;
}
