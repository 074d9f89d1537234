// Where an invocation's place lies: planes of rows and columns within a border.

struct Plane {
    index: u32,
    row: u32,
    column: u32,
}

fn plane_of(index: u32, height: u32, width: u32) -> Plane {
    return Plane(index / (width * height), index / width % height, index % width);
}

fn place_in(plane: u32, row: u32, column: u32, height: u32, width: u32, border: u32) -> u32 {
    let line = width + 2u * border;
    return (plane * (height + 2u * border) + border + row) * line + border + column;
}
