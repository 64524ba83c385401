//! A stretch of a long list: what is searched for in it, and which of the lines found are wanted.

use serde::{Deserialize as _, Deserializer};

/// How many characters of what is searched for count.
const LONGEST: usize = 200;

/// Which lines of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    /// Parts of what a line says, as [`Words`]; empty for every line.
    pub(crate) find: &'a str,
    pub(crate) most: usize,
    pub(crate) skipped: usize,
}

impl Stretch<'_> {
    /// The first lines of all.
    pub(crate) const fn first(most: usize) -> Self {
        Self { find: "", most, skipped: 0 }
    }

    /// `LIMIT … OFFSET …`.
    pub(crate) fn limit(&self) -> String {
        format!("LIMIT {} OFFSET {}", self.most, self.skipped)
    }
}

/// What is searched for, from an address: no longer than counts.
pub(crate) fn find<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let typed = String::deserialize(deserializer)?;
    Ok(typed.trim().chars().take(LONGEST).collect())
}

/// The words that are searched for, between white space: each has to be a part of one of a line's texts, in any casing of any
/// alphabet. In SQL this is `has_words(find, text, …)` (`db/text.rs`).
#[derive(Debug)]
pub(crate) struct Words(Vec<String>);

impl Words {
    pub(crate) fn of(find: &str) -> Self {
        Self(find.split_whitespace().map(folded).collect())
    }

    pub(crate) fn are_in<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let texts: Vec<String> = texts.into_iter().map(folded).collect();
        self.0.iter().all(|word| texts.iter().any(|text| text.contains(word)))
    }
}

/// By way of upper case, where ς is Σ and ß is SS; from lower case, where ẞ is ß.
fn folded(text: &str) -> String {
    text.to_lowercase().chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_a_part_of_some_text_in_any_casing_of_any_alphabet() {
        let texts = ["Ольга Иванова", "olga@acme.example", "Σίσυφος", "Große Straße", "100%_a\\b"];
        for find in
            ["", " ИВАН  ольга ", "ОЛЬГА @ACME", "ΣΊΣΥΦΟΣ", "strasse", "STRAẞE", "0%_A\\", "иванова example"]
        {
            assert!(Words::of(find).are_in(texts), "{find}");
        }
        for find in ["Ольгаи", "ИВАН nobody", "%ольга", "_", "a%b"] {
            assert!(!Words::of(find).are_in(["Ольга Иванова", "x@y"]), "{find}");
        }
    }

    #[test]
    fn no_more_than_some_of_what_is_typed_counts() {
        #[derive(serde::Deserialize)]
        struct Asked {
            #[serde(default, deserialize_with = "find")]
            find: String,
        }
        let read = |query: &str| serde_urlencoded::from_str::<Asked>(query).unwrap().find;
        assert_eq!(read(""), "");
        assert_eq!(read("find=+a+b+"), "a b");
        assert_eq!(read(&format!("find={}", "%D0%96".repeat(1_000))), "Ж".repeat(200));
    }
}
