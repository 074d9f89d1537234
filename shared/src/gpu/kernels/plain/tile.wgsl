// Linear and convolution kernels compute a tile of 4 × 4 results in each invocation: eight loads
// then serve sixteen multiply-adds. A tile that reaches over the edge reads the last index again and
// writes only what exists.

fn four_from(first: u32, count: u32) -> vec4<u32> {
    return min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(count - 1u));
}

fn tiles(count: u32) -> u32 {
    return (count + 3u) / 4u;
}
