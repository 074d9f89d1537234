//! Where the numbers of a value lie in its buffer.

/// Channels in one element of a value between layers.
pub(super) const LANES: usize = 4;

/// The names of a vector's lanes in WGSL.
pub(super) const COMPONENTS: [char; LANES] = ['x', 'y', 'z', 'w'];

/// The layout of a value: `[sample, channels / lanes, rows, columns, lanes]`, each plane of rows and
/// columns within a border of zeros, so that a window may reach over the edge without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Rows and columns of zeros on each side.
    pub(super) border: usize,
    /// Channels of one element: 1 or [`LANES`].
    pub(super) lanes: usize,
}

impl Geometry {
    /// Rows as a caller has them: `[channels, height, width]` without a border.
    pub(super) fn plain([channels, height, width]: [usize; 3]) -> Geometry {
        Geometry { channels, height, width, border: 0, lanes: 1 }
    }

    /// A plain vector as elements of four where it has no remainder: the same memory.
    pub(super) fn vector(channels: usize) -> Geometry {
        let lanes = if channels.is_multiple_of(LANES) { LANES } else { 1 };
        Geometry { channels, height: 1, width: 1, border: 0, lanes }
    }

    /// A value between layers.
    pub(super) fn blocks([channels, height, width]: [usize; 3], border: usize) -> Geometry {
        Geometry { channels, height, width, border, lanes: LANES }
    }

    /// From one row to the next, in elements.
    pub(super) fn row(&self) -> usize {
        self.width + 2 * self.border
    }

    /// From one plane to the next.
    pub(super) fn plane(&self) -> usize {
        self.row() * (self.height + 2 * self.border)
    }

    /// Planes of a sample.
    pub(super) fn planes(&self) -> usize {
        self.channels.div_ceil(self.lanes)
    }

    /// From one sample to the next.
    pub(super) fn sample(&self) -> usize {
        self.planes() * self.plane()
    }

    /// The first place within the border.
    pub(super) fn origin(&self) -> usize {
        self.border * (self.row() + 1)
    }

    /// Numbers of a sample, border and unused lanes included.
    pub(super) fn len(&self) -> usize {
        self.sample() * self.lanes
    }
}
