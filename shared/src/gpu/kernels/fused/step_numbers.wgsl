// A step of `count` neighbouring numbers of the state, at most four, which share a block of random numbers.
fn step_from(at: u32, gradients: vec4<f32>, count: u32) {
    if (!is_chain(at)) {
        return;
    }
    let noise = noise_at(at);
    for (var i = 0u; i < count; i++) {
        y[at + i] = stepped(y[at + i], gradients[i], noise[i]);
    }
}
