// The Langevin update: state ← state - (s²/2) gradient + n ε.

struct LangevinParams {
    chains: u32,
    len: u32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
    first_chain: u32,
    first_step: u32,
    half_squared_step: f32,
    noise: f32,
    clamps_gradient: u32,
    gradient_clamp: f32,
    clamps_range: u32,
    low: f32,
    high: f32,
    // Of a Gaussian term of the energy whose gradient the update adds itself.
    inverse_variance: f32,
}

// By its bits: a shader compiler may assume that `x != x` never holds.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// n ε of the four elements in a block, at the step after `taken` of them.
fn noise_of(langevin: LangevinParams, chain: u32, block: u32, taken: u32) -> vec4<f32> {
    if (langevin.noise == 0.0) {
        return vec4<f32>(0.0);
    }
    let step = langevin.first_step + taken;
    let counter = vec4<u32>(block, langevin.first_chain + chain, step, langevin.stream);
    return langevin.noise * normals(philox(counter, vec2<u32>(langevin.seed_low, langevin.seed_high)));
}

fn updated(langevin: LangevinParams, state: f32, slope: f32, noise: f32) -> f32 {
    // A clamp would turn NaN into a number and hide it.
    var gradient = slope;
    if (langevin.clamps_gradient == 1u && !is_nan(gradient)) {
        gradient = clamp(gradient, -langevin.gradient_clamp, langevin.gradient_clamp);
    }
    var next = state - langevin.half_squared_step * gradient + noise;
    if (langevin.clamps_range == 1u && !is_nan(next)) {
        next = clamp(next, langevin.low, langevin.high);
    }
    return next;
}
