// A step of an element of the state: what stands for `finish` in a kernel that writes elements.
fn finish(place: u32, gradients: vec4<f32>) {
    let at = 4u * place;
    if (!is_chain(at)) {
        return;
    }
    let noise = noise_at(at);
    let state = y[place];
    y[place] = vec4<f32>(
        stepped(state.x, gradients.x, noise.x),
        stepped(state.y, gradients.y, noise.y),
        stepped(state.z, gradients.z, noise.z),
        stepped(state.w, gradients.w, noise.w),
    );
}
