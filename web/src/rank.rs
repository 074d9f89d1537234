//! Order statistics without sorting.

/// The `k`-th smallest of `values`, counted from 0, in the total order of floats. `None` where there
/// are not so many.
///
/// The answer's bits are found one after the other, from how many values lie below; a sort would be
/// ten times the code in the page.
pub fn kth_smallest(values: &[f32], k: usize) -> Option<f32> {
    if k >= values.len() {
        return None;
    }
    let mut answer = 0u32;
    for bit in (0..32).rev() {
        let candidate = answer | 1 << bit;
        if values.iter().filter(|v| key(**v) < candidate).count() <= k {
            answer = candidate;
        }
    }
    let bits = if answer >> 31 == 1 { answer & !(1 << 31) } else { !answer };
    Some(f32::from_bits(bits))
}

/// An integer that orders as the float does.
fn key(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_a_sort_would_give() {
        let mut values: Vec<f32> =
            (0..101u32).map(|i| (i.wrapping_mul(2_654_435_761) as i32) as f32 * 1e-7).collect();
        values.extend([0.0, -0.0, 3.5, 3.5, f32::INFINITY, f32::NEG_INFINITY]);
        let mut sorted = values.clone();
        sorted.sort_by(f32::total_cmp);
        for (k, expected) in sorted.iter().enumerate() {
            assert_eq!(kth_smallest(&values, k).map(f32::to_bits), Some(expected.to_bits()), "{k}");
        }
        assert_eq!(kth_smallest(&values, values.len()), None);
    }
}
