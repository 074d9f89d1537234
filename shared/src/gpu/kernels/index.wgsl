// Which element an invocation computes. A dispatch longer than one dimension allows is folded
// into two.

fn element_index(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.y * (groups.x * 64u) + id.x;
}
