// The Langevin update by the kernel that computes the gradient, as `langevin.wgsl` takes it; `y` is the state.

@group(0) @binding(4) var<uniform> langevin: LangevinParams;
@group(0) @binding(5) var<storage, read_write> steps: array<u32>;

// n ε of element `at` of all states and the three that follow it.
fn noise_at(at: u32) -> vec4<f32> {
    let taken = steps[1];
    if (at == 0u) {
        steps[0] = taken + 1u;
    }
    return noise_of(langevin, at / langevin.len, at % langevin.len / 4u, taken);
}

fn is_chain(at: u32) -> bool {
    return at / langevin.len < langevin.chains;
}

fn stepped(state: f32, gradient: f32, noise: f32) -> f32 {
    return updated(langevin, state, gradient + langevin.inverse_variance * state, noise);
}
