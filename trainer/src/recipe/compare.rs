//! What differs between two recipes.

use super::Recipe;
use toml::{Table, Value};

impl Recipe {
    /// The settings in which this recipe differs from an `earlier` one, as "x_chain.steps was 40 and is
    /// now 60".
    pub fn changes_since(&self, earlier: &Recipe) -> Vec<String> {
        // By their text, which has numbers as they were written.
        let table = |recipe: &Recipe| recipe.to_toml().parse::<Table>().expect("what is written can be read");
        let mut changes = Vec::new();
        collect("", &Value::Table(table(earlier)), &Value::Table(table(self)), &mut changes);
        changes
    }
}

fn collect(path: &str, was: &Value, is: &Value, changes: &mut Vec<String>) {
    let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match (was, is) {
        _ if was == is => {}
        (Value::Table(was), Value::Table(is)) => {
            for (key, old) in was {
                match is.get(key) {
                    Some(new) => collect(&below(key), old, new, changes),
                    None => changes.push(format!("{} was {} and is now left out", below(key), short(old))),
                }
            }
            for (key, new) in is.iter().filter(|(key, _)| !was.contains_key(*key)) {
                changes.push(format!("{} was left out and is now {}", below(key), short(new)));
            }
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            let pairs = was.iter().zip(is).enumerate();
            pairs.for_each(|(i, (was, is))| collect(&below(&i.to_string()), was, is, changes));
        }
        _ => changes.push(format!("{path} was {} and is now {}", short(was), short(is))),
    }
}

/// A value, or what it is where it would fill the screen.
fn short(value: &Value) -> String {
    match value {
        Value::Table(_) => "a section".into(),
        Value::Array(values) if values.iter().any(|v| matches!(v, Value::Table(_))) => {
            format!("{} layers", values.len())
        }
        value => value.to_string(),
    }
}
