// A grid of images, straight from the chains' states: one fragment reads one number a channel.
// draw/paint.rs does the same arithmetic on the CPU.

struct Grid {
    size: vec2u,      // pixels of one image, in the data
    scale: vec2u,     // pixels on the canvas for one in the data
    gap: u32,         // canvas pixels between images
    columns: u32,
    chains: u32,
    channels: u32,    // in the data
    low: f32,         // value shown as black
    high: f32,        // value shown as white
    first: u32,       // the first chain shown
}

@group(0) @binding(0) var<uniform> grid: Grid;
@group(0) @binding(1) var<storage, read> states: array<f32>;

@vertex
fn vertex(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f {
    // One triangle that covers the canvas.
    return vec4f(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

fn shade(index: u32) -> f32 {
    return clamp((states[index] - grid.low) / (grid.high - grid.low), 0.0, 1.0);
}

@fragment
fn fragment(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let at = vec2u(position.xy);
    let cell = grid.size * grid.scale + vec2u(grid.gap);
    let tile = at / cell;
    let pixel = (at % cell) / grid.scale;
    let chain = tile.y * grid.columns + tile.x;
    if (tile.x >= grid.columns || chain >= grid.chains || any(pixel >= grid.size)) {
        return vec4f(0.0);
    }
    let plane = grid.size.x * grid.size.y;
    let first = (grid.first + chain) * plane * grid.channels + pixel.y * grid.size.x + pixel.x;
    if (grid.channels != 3u) {
        return vec4f(vec3f(shade(first)), 1.0);
    }
    return vec4f(shade(first), shade(first + plane), shade(first + 2u * plane), 1.0);
}
