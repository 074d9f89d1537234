//! WGSL while it is written: templates with numbers. (Rust's own formatting would cost the page some kilobytes.)

/// `frame` with texts in place of its words in capitals.
pub(super) fn fill(frame: &str, texts: &[(&str, &str)]) -> String {
    let in_word = |c: char| c.is_ascii_uppercase() || c == '_';
    let mut filled = String::new();
    let mut rest = frame;
    while let Some(start) = rest.find(in_word) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !in_word(c)).unwrap_or(from.len()));
        filled += before;
        filled += texts.iter().find(|(name, _)| *name == word).map_or(word, |(_, text)| text);
        rest = after;
    }
    filled + rest
}

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
