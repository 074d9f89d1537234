// The sum over a workgroup of 64, in a fixed order, so that it is the same on every run.

var<workgroup> sums: array<f32, 64>;

fn workgroup_sum(lane: u32, value: f32) -> f32 {
    sums[lane] = value;
    workgroupBarrier();
    for (var width = 32u; width > 0u; width = width / 2u) {
        if (lane < width) {
            sums[lane] = sums[lane] + sums[lane + width];
        }
        workgroupBarrier();
    }
    return sums[0];
}
