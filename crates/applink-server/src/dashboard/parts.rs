//! Small pieces of HTML that every page has: `{{ … }}` prints them as they are, with what they hold escaped.

use std::fmt;

use applink_api::time::Timestamp;
use askama::filters::{Html, HtmlSafe, escape};

/// A moment: in UTC as sent, in the viewer's zone once the script ran, exact on hover.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_string();
        let (day, clock) = exact.split_once('T').unwrap_or((&exact, ""));
        let minute = clock.get(..5).unwrap_or(clock);
        let title = clock.trim_end_matches('Z');
        write!(f, r#"<time datetime="{exact}" title="{day} {title} UTC">{day} {minute} UTC</time>"#)
    }
}

impl HtmlSafe for Time {}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Something is under way.
    Wait,
    /// Somebody has to do something.
    Bad,
    /// Neither.
    Quiet,
}

/// A status word, with what it means on hover.
#[derive(Clone, Debug)]
pub struct Badge {
    /// How well.
    pub tone: Tone,
    /// The word.
    pub word: String,
    /// What it means.
    pub meaning: &'static str,
}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.tone {
            Tone::Good => "badge good",
            Tone::Wait => "badge wait",
            Tone::Bad => "badge bad",
            Tone::Quiet => "badge",
        };
        let (word, meaning) = (escape(&self.word, Html), escape(self.meaning, Html));
        let (word, meaning) = (word.map_err(|_| fmt::Error)?, meaning.map_err(|_| fmt::Error)?);
        write!(f, r#"<span class="{class}" title="{meaning}">{word}</span>"#)
    }
}

impl HtmlSafe for Badge {}

/// What every form of ours is sent with: the session's token, and what tells this page's forms from the next's.
#[derive(Clone, Debug)]
pub struct Hidden {
    pub(super) csrf: String,
    pub(super) once: String,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { csrf, once } = self;
        let field = |name, value| format!(r#"<input type="hidden" name="{name}" value="{value}">"#);
        write!(f, "{}{}", field(super::form::CSRF, csrf), field(super::form::ONCE, once))
    }
}

impl HtmlSafe for Hidden {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_they_hold_is_escaped() {
        let badge = Badge { tone: Tone::Bad, word: "<b>".to_owned(), meaning: "\"&" };
        assert_eq!(badge.to_string(), r#"<span class="badge bad" title="&#34;&#38;">&#60;b&#62;</span>"#);
        let time = Time(Timestamp::from_seconds(1_700_000_000)).to_string();
        assert_eq!(
            time,
            r#"<time datetime="2023-11-14T22:13:20.000000Z" title="2023-11-14 22:13:20.000000 UTC">2023-11-14 22:13 UTC</time>"#
        );
    }
}
