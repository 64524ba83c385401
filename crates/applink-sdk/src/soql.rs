//! Putting values into SOQL.

use std::fmt::Write as _;

use applink_salesforce::RecordId;

/// A text as a SOQL literal: quoted, with everything escaped that could end it.
///
/// ```
/// assert_eq!(applink_sdk::soql::text("O'Brien"), r"'O\'Brien'");
/// ```
pub fn text(value: &str) -> String {
    let mut literal = String::with_capacity(value.len() + 2);
    literal.push('\'');
    for c in value.chars() {
        match c {
            '\'' => literal.push_str("\\'"),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// Texts as the right-hand side of `IN`: `('a', 'b')`. SOQL has no empty list: ask for nothing yourself then.
pub fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    list(values.into_iter().map(text))
}

/// Ids as the right-hand side of `IN`.
pub fn ids<'a>(values: impl IntoIterator<Item = &'a RecordId>) -> String {
    list(values.into_iter().map(|id| format!("'{id}'")))
}

fn list(literals: impl Iterator<Item = String>) -> String {
    let mut list = String::from("(");
    for (index, literal) in literals.enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        // Writing to a String can't fail.
        let _ = write!(list, "{separator}{literal}");
    }
    list.push(')');
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_quoted_one_by_one() {
        assert_eq!(texts(["a", "b' OR ''='"]), r"('a', 'b\' OR \'\'=\'')");
        let id: RecordId = "006SB0000001abc".parse().unwrap();
        assert_eq!(ids([&id]), format!("('{id}')"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_ends_its_literal(value in ".{0,40}") {
            let literal = text(&value);
            let inner = &literal[1..literal.len() - 1];
            let mut escaped = false;
            for c in inner.chars() {
                proptest::prop_assert!(escaped || c != '\'', "{literal}");
                escaped = !escaped && c == '\\';
            }
            proptest::prop_assert!(!escaped, "{literal}");
        }
    }
}
