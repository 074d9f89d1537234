//! WGSL while it is written: templates with numbers. (Rust's own formatting would cost the page some kilobytes.)

/// Lines of WGSL.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// A line from a template in which `$0` to `$9` stand for the numbers, and `@0` to `@9` for the component of
    /// a vector that they are: x, y, z or w.
    pub(super) fn line(&mut self, template: &str, numbers: &[usize]) {
        self.add(template, numbers);
        self.0.push('\n');
    }

    /// The same without the line's end.
    pub(super) fn add(&mut self, template: &str, numbers: &[usize]) {
        let mut letters = template.chars();
        while let Some(letter) = letters.next() {
            if letter != '$' && letter != '@' {
                self.0.push(letter);
                continue;
            }
            let number = letters.next().map_or(0, |digit| numbers[digit as usize - '0' as usize]);
            match letter {
                '$' => self.0 += &number.to_string(),
                _ => self.0.push(['x', 'y', 'z', 'w'][number]),
            }
        }
    }
}
