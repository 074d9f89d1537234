// One disc a chain, straight from the chains' states in the plane.

struct Particles {
    low: vec2f,       // lower left corner of the square shown
    side: f32,        // its side
    radius: f32,      // of a disc, in canvas pixels
    colour: vec4f,    // not premultiplied
    canvas: f32,      // side of the canvas, in pixels
    chosen: u32,      // this chain's disc is larger
    first: u32,       // the first chain shown
}

@group(0) @binding(0) var<uniform> particles: Particles;
@group(0) @binding(1) var<storage, read> states: array<f32>;

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) offset: vec2f,              // from the disc's centre, in canvas pixels
    @location(1) @interpolate(flat) radius: f32,
}

@vertex
fn vertex(@builtin(vertex_index) corner: u32, @builtin(instance_index) instance: u32) -> Corner {
    let chain = particles.first + instance;
    let radius = select(particles.radius, particles.radius * 2.5, chain == particles.chosen);
    let offset = (vec2f(f32(corner & 1u), f32(corner >> 1u)) * 2.0 - 1.0) * (radius + 1.0);
    let point = vec2f(states[2u * chain], states[2u * chain + 1u]);
    let centre = (point - particles.low) / particles.side * 2.0 - 1.0;
    return Corner(vec4f(centre + offset * 2.0 / particles.canvas, 0.0, 1.0), offset, radius);
}

@fragment
fn fragment(corner: Corner) -> @location(0) vec4f {
    let alpha = particles.colour.a * clamp(corner.radius + 0.5 - length(corner.offset), 0.0, 1.0);
    return vec4f(particles.colour.rgb * alpha, alpha);
}
