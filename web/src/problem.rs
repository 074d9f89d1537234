//! What can go wrong on the page, each in a sentence that says what to do.

use std::fmt;

/// A problem to be told to the reader.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What is wrong, in a few words.
    pub title: String,
    /// Why, and what to do about it.
    pub advice: String,
    /// Whether what computes has failed, a device or the workers, so that a new start is a way on.
    pub device: bool,
    /// Whether the graphics device is gone, so that another may come in its place.
    pub lost: bool,
}

impl Problem {
    /// A problem with a title and an advice.
    pub fn new(title: impl Into<String>, advice: impl Into<String>) -> Problem {
        Problem { title: title.into(), advice: advice.into(), device: false, lost: false }
    }

    /// A chain whose settings are impossible.
    pub fn settings(reason: &str) -> Problem {
        Problem::new("The chain cannot run like this", format!("{reason}."))
    }

    /// Samples that are none of the model's.
    pub fn samples(reason: &str) -> Problem {
        Problem::new("These are no samples of the model", format!("{reason}."))
    }

    /// A problem of the graphics device.
    pub fn device(title: impl Into<String>, advice: impl Into<String>) -> Problem {
        Problem { device: true, ..Problem::new(title, advice) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.advice)
    }
}

/// Most new starts of a figure by itself, and the time that they are counted in, in milliseconds.
const MOST_RESTARTS: usize = 3;
const RESTARTS_IN: f64 = 60_000.0;

/// The new starts of a figure after failures.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    times: Vec<f64>,
}

impl Restarts {
    /// Whether there may be another at time `now` (milliseconds); it counts then.
    pub fn grant(&mut self, now: f64) -> bool {
        self.times.retain(|&time| now - time < RESTARTS_IN);
        let granted = self.times.len() < MOST_RESTARTS;
        if granted {
            self.times.push(now);
        }
        granted
    }

    /// Whether the last one was not the first within a minute.
    pub fn again(&self) -> bool {
        self.times.len() > 1
    }
}

/// What a server's answer to a request for a model is, before its body has been read.
///
/// # Errors
/// If it cannot be a model: the server refuses, or sends a page.
pub fn check_answer(url: &str, status: u16, content_type: &str) -> Result<(), Problem> {
    if status == 404 || status == 410 {
        return Err(Problem::new(
            "There is no model at this address",
            format!(
                "The server has no file “{url}” (status {status}). Check the address, or choose another model."
            ),
        ));
    }
    if !(200..300).contains(&status) {
        return Err(Problem::new(
            "The server does not give out this model",
            format!(
                "It answered “{url}” with status {status}. Try again later, or open the file from your own disk."
            ),
        ));
    }
    if content_type.starts_with("text/html") {
        return Err(page_instead(url));
    }
    Ok(())
}

/// What the first bytes of a file say about it, where they say anything.
///
/// # Errors
/// If the bytes are a web page.
pub fn check_beginning(url: &str, bytes: &[u8]) -> Result<(), Problem> {
    let text = bytes.trim_ascii_start();
    let begins = |word: &str| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word.as_bytes()));
    if begins("<!doctype") || begins("<html") {
        return Err(page_instead(url));
    }
    Ok(())
}

fn page_instead(url: &str) -> Problem {
    Problem::new(
        "This address gives a web page, not a model",
        format!(
            "“{url}” answers with HTML. Use the address of the .safetensors file itself; on a hub that is often the “download” or “raw” link."
        ),
    )
}

/// The problem of a request that failed before there was any answer. Browsers do not tell a page
/// why: the server may be unreachable, or forbid other sites to read it (CORS).
pub fn no_answer(url: &str, same_site: bool) -> Problem {
    let title = "The model could not be fetched";
    if same_site {
        return Problem::new(
            title,
            format!("There was no answer for “{url}”. Is the server running, and are you online?"),
        );
    }
    Problem::new(
        title,
        format!(
            "There was no answer for “{url}”. Either the server cannot be reached, or it does not let other sites read its files \
             (it must send the header Access-Control-Allow-Origin). Download the file and open it here instead."
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_figure_starts_anew_three_times_a_minute() {
        let mut restarts = Restarts::default();
        assert!(restarts.grant(0.0) && !restarts.again());
        assert!(restarts.grant(1e3) && restarts.again() && restarts.grant(2e3));
        assert!(!restarts.grant(3e3) && !restarts.grant(59e3));
        assert!(restarts.grant(60e3), "the first is a minute ago");
        assert!(!restarts.grant(60.5e3));
    }

    #[test]
    fn answers_that_are_no_model_are_told_apart() {
        assert_eq!(check_answer("m", 200, "application/octet-stream"), Ok(()));
        assert!(check_answer("m", 404, "text/html").unwrap_err().title.contains("no model"));
        assert!(check_answer("m", 503, "text/plain").unwrap_err().advice.contains("503"));
        assert!(check_answer("m", 200, "text/html; charset=utf-8").unwrap_err().title.contains("web page"));
        assert!(check_beginning("m", b"\n  <!DOCTYPE html><title>x").is_err());
        assert_eq!(check_beginning("m", &[200, 1, 0, 0, 0, 0, 0, 0, b'{']), Ok(()));
        assert_eq!(check_beginning("m", b""), Ok(()));
    }
}
