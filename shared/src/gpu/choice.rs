//! The ways to compute a correlation, and the sizes that decide among them.

/// The size of a correlation, by which its kernel is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Number of groups of four output channels.
    pub outputs: usize,
    /// Outputs of one phase over all samples, times phases.
    pub positions: usize,
    /// Elements of inputs that a sum goes over: taps times elements of channels.
    pub depth: usize,
    /// Outputs in one row.
    pub columns: usize,
}

/// A way to compute a correlation, independent of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Each invocation reads what it needs: so many neighbouring positions times elements of output channels.
    Direct {
        /// 1, 2, 4 or 8.
        positions: usize,
        /// 1 or 2.
        blocks: usize,
        /// Among so many invocations each sum is divided, which add up their parts in workgroup memory: 1, 8 or 16.
        split: usize,
        /// Whether four invocations, where a layer has as many with the same channels, take four elements of output
        /// channels each and share what they read of the weights: for software adapters with subgroups.
        shared: bool,
    },
    /// Workgroups share what they read.
    Tiled(Tiling),
}

/// Shape of a workgroup's tile, independent of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Positions of an invocation.
    pub positions: usize,
    /// Invocations side by side over positions.
    pub across: usize,
    /// Elements of output channels of an invocation.
    pub blocks: usize,
    /// Invocations side by side over channels.
    pub deep: usize,
    /// At most so many elements of input channels at a time.
    pub planes: usize,
}

impl Choice {
    /// All ways worth trying on a graphics processor.
    pub fn all() -> Vec<Choice> {
        let mut all = Vec::new();
        for positions in [1, 2, 4, 8] {
            all.extend([direct(positions, 1, 1), direct(positions, 2, 1)]);
        }
        for positions in [1, 2, 4] {
            all.extend([direct(positions, 1, 8), direct(positions, 1, 16)]);
        }
        all.extend([4, 8].map(|positions| direct(positions, 2, 1).sharing()));
        for (positions, across, blocks, deep, planes) in [
            (8, 16, 2, 4, 2),
            (8, 16, 2, 8, 2),
            (8, 8, 2, 8, 2),
            (8, 8, 2, 4, 4),
            (8, 16, 2, 4, 1),
            (4, 16, 2, 4, 4),
            (4, 32, 2, 2, 2),
            (4, 16, 1, 4, 4),
            (4, 16, 1, 8, 4),
            (2, 16, 1, 8, 4),
            (2, 32, 1, 4, 4),
            (1, 16, 1, 8, 4),
            (1, 16, 1, 16, 4),
        ] {
            all.push(Choice::Tiled(Tiling { positions, across, blocks, deep, planes }));
        }
        all
    }
}

/// A row of the table: outputs, positions and depth of a [`Size`], and what was the fastest there.
pub(super) type Timed = (usize, usize, usize, Choice);

pub(super) const fn direct(positions: usize, blocks: usize, split: usize) -> Choice {
    Choice::Direct { positions, blocks, split, shared: false }
}

impl Choice {
    /// Whether four invocations share weights.
    pub fn shares(&self) -> bool {
        matches!(self, Choice::Direct { shared: true, .. })
    }

    /// This choice with weights that four invocations share.
    pub(super) fn sharing(self) -> Choice {
        match self {
            Choice::Direct { positions, blocks, split, .. } => {
                Choice::Direct { positions, blocks, split, shared: true }
            }
            tiled => tiled,
        }
    }
}

pub(super) const fn tiled(
    positions: usize,
    across: usize,
    blocks: usize,
    deep: usize,
    planes: usize,
) -> Choice {
    Choice::Tiled(Tiling { positions, across, blocks, deep, planes })
}

impl Size {
    /// How far apart two sizes are by their ratios, in half octaves. Whether a tile is filled counts twice.
    pub fn distance(&self, other: &Size) -> u32 {
        let octaves = |n: usize| (n.max(1) as u64).pow(2).ilog2();
        let apart = |a: usize, b: usize| octaves(a).abs_diff(octaves(b));
        2 * apart(self.outputs, other.outputs)
            + apart(self.positions, other.positions)
            + apart(self.depth, other.depth)
    }
}
