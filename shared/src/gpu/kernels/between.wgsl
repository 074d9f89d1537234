// Where pixel `i` of twice `n` lies among the `n`, corners on corners: behind pixel x by the share y
// of the way to the next.
struct Place {
    pixel: u32,
    share: f32,
}

fn between(i: u32, n: u32) -> Place {
    let place = i * (n - 1u);
    let spacing = 2u * n - 1u;
    return Place(place / spacing, f32(place % spacing) / f32(spacing));
}

