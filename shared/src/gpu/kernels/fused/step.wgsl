// The Langevin update by the kernel that computes the gradient: `y` is the state. Otherwise as `langevin.wgsl`.

@group(0) @binding(4) var<uniform> walk: Walk;
@group(0) @binding(5) var<storage, read_write> steps: array<u32>;

// The element `at` of all states and those that follow, `count` of four.
fn step_from(at: u32, gradients: vec4<f32>, count: u32) {
    let chain = at / walk.len;
    if (chain >= walk.chains) {
        return;
    }
    let taken = steps[1];
    if (at == 0u) {
        steps[0] = taken + 1u;
    }
    let noise = noise_of(chain, at % walk.len / 4u, taken);
    STEP
}
