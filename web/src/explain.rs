//! The page's sentences about the chain's settings.

use dual_mcmc::chain::Langevin;

/// A number for reading: three significant digits, in powers of ten where it is very large or small.
pub fn readable(value: f32) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { "not a number".into() };
    }
    if (1e-3..1e5).contains(&size) {
        let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        let text = format!("{value:.decimals$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        return text.replace('-', "−");
    }
    let exponent = size.log10().floor() as i32;
    let mantissa = value / 10f32.powi(exponent);
    let power: String = exponent.to_string().chars().map(superscript).collect();
    let mantissa = format!("{mantissa:.1}");
    format!("{}·10{power}", mantissa.strip_suffix(".0").unwrap_or(&mantissa).replace('-', "−"))
}

fn superscript(digit: char) -> char {
    match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        d => d.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(d),
    }
}

/// What the temperature of an update means for what the chain samples.
pub fn temperature(langevin: &Langevin) -> &'static str {
    let t = langevin.temperature();
    if langevin.noise == 0.0 {
        "No noise: plain gradient descent on the energy. It finds minima and samples nothing."
    } else if langevin.mala {
        "Each step is a proposal, accepted or rejected (MALA): the chain samples exp(−E/T) itself."
    } else if (0.98..=1.02).contains(&t) {
        "Noise equals step size: textbook Langevin, which samples exp(−E)."
    } else if t < 0.01 {
        "Far colder than 1: the chain samples exp(−E/T), and so moves almost straight downhill."
    } else if t < 1.0 {
        "Colder than 1: the chain samples exp(−E/T), which is sharper than exp(−E)."
    } else {
        "Hotter than 1: the chain samples exp(−E/T), which is flatter than exp(−E)."
    }
}

/// What the temperature of a z-chain means.
pub fn posterior_temperature(langevin: &Langevin) -> &'static str {
    let t = langevin.temperature();
    if langevin.noise == 0.0 {
        "No noise: gradient descent to a latent that explains the picture best. It samples nothing."
    } else if (0.98..=1.02).contains(&t) {
        "Noise equals step size: the chain samples the posterior, the latents that explain the picture."
    } else if t < 1.0 {
        "Colder than 1: the chain keeps nearer to the latents that explain the picture best."
    } else {
        "Hotter than 1: the chain strays from the latents that explain the picture."
    }
}

/// What it means that chains have gone on after the `steps` that their model recommends: whether its energy is one of data
/// for them, too, or only for chains as short as those it was learned with.
pub fn long_run(taken: u32, steps: u32, mean: f32, held_out: Option<[f32; 2]>) -> String {
    let begin = format!(
        "A long run: the model recommends {}, and these chains have taken {taken}. Energies learned with short chains promise nothing about long ones.",
        count(steps as usize, "step"),
    );
    let end = match held_out {
        Some([low, _]) if mean < low => {
            "This one’s mean energy has fallen below that of nine tenths of held-out data: the chains have left the data for places that it likes better."
        }
        Some([_, high]) if mean > high => {
            "This one’s mean energy still lies above that of nine tenths of held-out data: the chains have not come to the data, or have left them."
        }
        Some(_) => "This one’s mean energy lies where that of held-out data does: so far it holds.",
        None => "The file does not say what energies held-out data have.",
    };
    format!("{begin} {end}")
}

/// A number of things, with the noun in the plural where it needs to be.
pub fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    let digits = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    format!("{grouped} {noun}{plural}")
}

/// A size in bytes for reading.
pub fn bytes(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.0} kB", (n / 1e3).ceil()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_judged_by_held_out_data() {
        let says = |mean, held_out| long_run(420, 60, mean, held_out);
        let band = Some([-0.9, -0.7]);
        assert!(says(-0.8, band).contains("so far it holds") && says(-0.8, band).contains("60 steps"));
        assert!(says(-1.0, band).contains("below"));
        assert!(says(-0.1, band).contains("above"));
        assert!(says(-0.1, None).contains("does not say"));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-12.345, "−12.3"),
            (0.1, "0.1"),
            (0.00123, "0.00123"),
            (4e-6, "4·10⁻⁶"),
            (123_456.0, "1.2·10⁵"),
            (1500.0, "1500"),
            (f32::NAN, "not a number"),
        ] {
            assert_eq!(readable(value), text);
        }
        assert_eq!(count(16_793_088, "parameter"), "16\u{202f}793\u{202f}088 parameters");
        assert_eq!(count(1, "chain"), "1 chain");
    }

    #[test]
    fn the_three_temperatures_are_told_apart() {
        let words = |s, n| temperature(&Langevin::new(s, n));
        assert!(words(0.1, 0.1).starts_with("Noise equals"));
        assert!(words(0.5, 0.001).starts_with("Far colder"));
        assert!(words(0.1, 0.2).starts_with("Hotter"));
        assert!(words(0.1, 0.0).starts_with("No noise"));
        let mala = Langevin { mala: true, ..Langevin::new(0.1, 0.1) };
        assert!(temperature(&mala).contains("accepted or rejected"));
        let words = |s, n| posterior_temperature(&Langevin::new(s, n));
        assert!(words(0.1, 0.1).contains("samples the posterior"));
        assert!(words(0.1, 0.05).starts_with("Colder") && words(0.1, 0.2).starts_with("Hotter"));
        assert!(words(0.1, 0.0).starts_with("No noise"));
    }
}
