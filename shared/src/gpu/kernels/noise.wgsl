// Philox 4×32-10 and normals from it: noise.rs in WGSL, the same integers and the same
// polynomials. (WGSL's own `cos` may be off by 2⁻¹¹.)

// The high word of a product, from 16-bit halves: WGSL has no 64-bit integers.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    let cross_a = a_high * b_low;
    let cross_b = a_low * b_high;
    let middle = (low >> 16u) + (cross_a & 0xffffu) + (cross_b & 0xffffu);
    return a_high * b_high + (cross_a >> 16u) + (cross_b >> 16u) + (middle >> 16u);
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var i = 0u; i < 10u; i++) {
        let low_0 = c.x * 0xd2511f53u;
        let high_0 = multiply_high(c.x, 0xd2511f53u);
        let low_1 = c.z * 0xcd9e8d57u;
        let high_1 = multiply_high(c.z, 0xcd9e8d57u);
        c = vec4<u32>(high_1 ^ c.y ^ k.x, low_1, high_0 ^ c.w ^ k.y, low_0);
        k = k + vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}

fn uniform_number(bits: u32) -> f32 {
    return (f32(bits >> 8u) + 0.5) * (1.0 / 16777216.0);
}

// Natural logarithm on (0, 1): exponent and mantissa taken apart, then Cephes' polynomial.
fn natural_logarithm(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    var exponent = i32(bits >> 23u) - 126;
    var mantissa = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
    if (mantissa < 0.70710677) {
        exponent -= 1;
        mantissa += mantissa;
    }
    let m = mantissa - 1.0;
    let z = m * m;
    var p = 7.0376836e-2;
    p = p * m - 1.151461e-1;
    p = p * m + 1.1676998e-1;
    p = p * m - 1.2420141e-1;
    p = p * m + 1.4249323e-1;
    p = p * m - 1.6668057e-1;
    p = p * m + 2.0000715e-1;
    p = p * m - 2.4999994e-1;
    p = p * m + 3.3333331e-1;
    let e = f32(exponent);
    let y = m * z * p + e * -2.1219444e-4 - 0.5 * z;
    return m + y + e * 0.6933594;
}

// (sin, cos) of bits / 2³² turns: a quadrant, then Cephes' polynomials on [-π/4, π/4].
fn sin_cos_turn(all_bits: u32) -> vec2<f32> {
    let bits = all_bits >> 8u;
    let quadrant = ((bits + 0x200000u) >> 22u) & 3u;
    var rest = i32(bits) - i32(quadrant << 22u);
    if (rest > 0x800000) {
        rest -= 0x1000000;
    }
    let x = f32(rest) * (6.2831855 / 16777216.0);
    let z = x * x;
    let s = ((-1.9515296e-4 * z + 8.332161e-3) * z - 1.6666655e-1) * z * x + x;
    let c = ((2.4433157e-5 * z - 1.3887316e-3) * z + 4.1666646e-2) * z * z - 0.5 * z + 1.0;
    if (quadrant == 0u) {
        return vec2<f32>(s, c);
    }
    if (quadrant == 1u) {
        return vec2<f32>(c, -s);
    }
    if (quadrant == 2u) {
        return vec2<f32>(-s, -c);
    }
    return vec2<f32>(-c, s);
}

fn box_muller(radius: u32, angle: u32) -> vec2<f32> {
    let r = sqrt(-2.0 * natural_logarithm(uniform_number(radius)));
    let sin_cos = sin_cos_turn(angle);
    return vec2<f32>(r * sin_cos.y, r * sin_cos.x);
}

fn normals(bits: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(box_muller(bits.x, bits.y), box_muller(bits.z, bits.w));
}
