//! Which kernel computes a correlation: a pure function of its size and of the kind of adapter, so that one seed
//! keeps giving one chain.

use super::choice::{Choice, Size, Timed, direct};
use super::table::TABLE;

/// The kernel on a graphics processor, or on an adapter that is a program, with or without subgroups.
pub(super) fn choose(size: &Size, hardware: bool, subgroups: bool) -> Choice {
    if !hardware {
        // Barriers are slow there, and so is everything but arithmetic. Two elements are for layers that cannot
        // share.
        let choice = direct(if size.columns > 4 { 8 } else { 4 }, 2, 1);
        return if subgroups { choice.sharing() } else { choice };
    }
    // The size in the table that is nearest.
    let far = |&&(outputs, positions, depth, _): &&Timed| {
        size.distance(&Size { outputs, positions, depth, columns: 0 })
    };
    TABLE.iter().min_by_key(far).map_or(direct(2, 1, 1), |&(.., choice)| choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kernel that can be chosen is among those that tests compare with the CPU's.
    #[test]
    fn the_table_has_kernels_that_are_tested() {
        for (outputs, positions, depth, choice) in TABLE {
            assert!(Choice::all().contains(choice), "{choice:?}");
            let size = Size { outputs: *outputs, positions: *positions, depth: *depth, columns: 1 };
            assert_eq!(choose(&size, true, true), *choice, "a row's own size");
        }
    }
}
