// Multiply-adds on registers and nothing else: what a device's arithmetic can do at most.

struct Params {
    elements: u32,
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = element_index(id, groups);
    if (index >= params.elements) {
        return;
    }
    let m = y[index];
    var a = m;
    var b = m + 1.0;
    var c = m + 2.0;
    var d = m + 3.0;
    var e = m + 4.0;
    var f = m + 5.0;
    var g = m + 6.0;
    var h = m + 7.0;
    let rounds = min(params.rounds, arrayLength(&y));
    for (var i = 0u; i < rounds; i++) {
        a = a * m + b;
        b = b * m + c;
        c = c * m + d;
        d = d * m + e;
        e = e * m + f;
        f = f * m + g;
        g = g * m + h;
        h = h * m + a;
        a = a * m + c;
        b = b * m + d;
        c = c * m + e;
        d = d * m + f;
        e = e * m + g;
        f = f * m + h;
        g = g * m + a;
        h = h * m + b;
    }
    y[index] = a + b + c + d + e + f + g + h;
}
