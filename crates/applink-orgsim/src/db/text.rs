//! How text compares: without regard to case in any alphabet, as SOQL does. SQLite's own `NOCASE` and `LIKE` know
//! ASCII only, so both are replaced. Beside them, `has_words` is how lists are searched.

use std::cmp::Ordering;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::stretch::Words;

/// Replaces `NOCASE` and `LIKE` on a connection, and adds `has_words`.
pub(super) fn install(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_collation("NOCASE", compare)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("like", 2, flags, like)?;
    connection.create_scalar_function("like", 3, flags, like)?;
    connection.create_scalar_function("has_words", -1, flags, has_words)
}

/// `has_words(find, text, …)`: see [`Words`]. A text that is null has none.
fn has_words(context: &Context<'_>) -> rusqlite::Result<bool> {
    let words = context.get_or_create_aux(0, |find| find.as_str().map(Words::of))?;
    let texts = (1..context.len()).map(|index| context.get_raw(index).as_str_or_null());
    let texts: Vec<Option<&str>> = texts.collect::<Result<_, _>>()?;
    Ok(words.are_in(texts.into_iter().flatten()))
}

fn compare(left: &str, right: &str) -> Ordering {
    folded(left).cmp(folded(right))
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

/// `like(pattern, text [, escape])`; null when one of them is.
fn like(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let (Some(pattern), Some(text)) = (context.get::<Option<String>>(0)?, context.get::<Option<String>>(1)?)
    else {
        return Ok(None);
    };
    let escape = if context.len() == 3 { context.get::<String>(2)?.chars().next() } else { None };
    let text: Vec<char> = folded(&text).collect();
    Ok(Some(matches(&steps(&pattern, escape), &text)))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Many,
    One,
    Letter(char),
}

fn steps(pattern: &str, escape: Option<char>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let step = match letter {
            _ if Some(letter) == escape => letters.next().map(Step::Letter),
            '%' => Some(Step::Many),
            '_' => Some(Step::One),
            _ => Some(Step::Letter(letter)),
        };
        match step {
            Some(Step::Letter(letter)) => steps.extend(letter.to_lowercase().map(Step::Letter)),
            Some(step) => steps.push(step),
            None => {}
        }
    }
    steps
}

/// On a mismatch only the last `%` takes one letter more, so the work is at most pattern times text.
fn matches(steps: &[Step], text: &[char]) -> bool {
    let (mut at_step, mut at_letter) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(at_letter) {
        match steps.get(at_step) {
            Some(Step::Many) => {
                retry = Some((at_step + 1, at_letter));
                at_step += 1;
            }
            Some(Step::One) => (at_step, at_letter) = (at_step + 1, at_letter + 1),
            Some(Step::Letter(wanted)) if wanted == letter => {
                (at_step, at_letter) = (at_step + 1, at_letter + 1)
            }
            _ => match retry {
                Some((step, start)) => {
                    retry = Some((step, start + 1));
                    (at_step, at_letter) = (step, start + 1);
                }
                None => return false,
            },
        }
    }
    steps.iter().skip(at_step).all(|step| *step == Step::Many)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_like(text: &str, pattern: &str) -> bool {
        let text: Vec<char> = folded(text).collect();
        matches(&steps(pattern, Some('\\')), &text)
    }

    #[test]
    fn patterns_match_in_any_casing() {
        for (text, pattern) in [
            ("Müller", "mÜll%"),
            ("abc", "_B_"),
            ("", "%"),
            ("a%b", "a\\%b"),
            ("aXbXc", "%x%x%"),
            ("ab", "%%b"),
        ] {
            assert!(is_like(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [("abc", "ab"), ("abc", "_"), ("axb", "a\\%b"), ("", "_"), ("abc", "%d%")] {
            assert!(!is_like(text, pattern), "{text} {pattern}");
        }
        assert_eq!(compare("ÄPFEL", "äpfel"), Ordering::Equal);
        assert_eq!(compare("a", "B"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn a_pattern_finds_what_it_was_cut_from(before in "[a-c%_]{0,6}", middle in "[a-c]{0,6}", after in "[a-c]{0,6}") {
            let text = format!("{before}{middle}{after}");
            let contained = format!("%{middle}%");
            prop_assert!(is_like(&text, &contained));
            let escaped = text.replace('%', "\\%").replace('_', "\\_");
            prop_assert!(is_like(&text, &escaped));
            prop_assert!(is_like(&text, &"_".repeat(text.chars().count())));
        }
    }
}
