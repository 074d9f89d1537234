// Multiply-adds on registers and nothing else: what a device's arithmetic can do at most.

struct PeakArithmeticParams {
    elements: u32,
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: PeakArithmeticParams;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.elements) {
        return;
    }
    let k = y[index];
    let m = k.x;
    var a = k;
    var b = k + 1.0;
    var c = k + 2.0;
    var d = k + 3.0;
    var e = k + 4.0;
    var f = k + 5.0;
    var g = k + 6.0;
    var h = k + 7.0;
    let rounds = min(params.rounds, arrayLength(&y));
    for (var i = 0u; i < rounds; i++) {
        a = a * m + k;
        b = b * m + k;
        c = c * m + k;
        d = d * m + k;
        e = e * m + k;
        f = f * m + k;
        g = g * m + k;
        h = h * m + k;
        a = a * m + k;
        b = b * m + k;
        c = c * m + k;
        d = d * m + k;
        e = e * m + k;
        f = f * m + k;
        g = g * m + k;
        h = h * m + k;
        a = a * m + k;
        b = b * m + k;
        c = c * m + k;
        d = d * m + k;
        e = e * m + k;
        f = f * m + k;
        g = g * m + k;
        h = h * m + k;
        a = a * m + k;
        b = b * m + k;
        c = c * m + k;
        d = d * m + k;
        e = e * m + k;
        f = f * m + k;
        g = g * m + k;
        h = h * m + k;
    }
    y[index] = a + b + c + d + e + f + g + h;
}
