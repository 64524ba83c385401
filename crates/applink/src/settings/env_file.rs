//! Reading `dev.env`: assignments as a shell would read them, but nothing is ever run or substituted.
//!
//! A line is empty, a `# comment`, or `[export ]NAME=value` with the value bare, in `'…'`, or in `"…"` with `\"`,
//! `\\`, `\$` and `` \` `` inside.

use super::Variables;

/// A line that is none of these.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EnvFileError {
    /// From 1.
    pub(super) line: usize,
    /// What was expected. The line itself is not shown: it may hold a secret.
    pub(super) reason: &'static str,
}

/// All assignments of `text`; a later one wins.
///
/// # Errors
/// The first line that can't be read.
pub(super) fn parse(text: &str) -> Result<Variables, EnvFileError> {
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        pairs.push(assignment(line).map_err(|reason| EnvFileError { line: index + 1, reason })?);
    }
    Ok(pairs.into_iter().collect())
}

fn assignment(line: &str) -> Result<(String, String), &'static str> {
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line.split_once('=').ok_or("expected NAME=value")?;
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("a variable name has only letters, digits and `_`");
    }
    Ok((name.to_owned(), unquoted(value)?))
}

fn unquoted(value: &str) -> Result<String, &'static str> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (inside, after) = rest.split_once('\'').ok_or("the closing ' is missing")?;
        return ensure_comment(after).map(|()| inside.to_owned());
    }
    if let Some(rest) = value.strip_prefix('"') {
        return double_quoted(rest);
    }
    let bare = value.split(" #").next().unwrap_or_default().trim_end();
    if bare.contains(|c: char| c.is_whitespace() || "'\"`$\\;&|<>()".contains(c)) {
        return Err("a value with such characters needs quotes");
    }
    Ok(bare.to_owned())
}

fn double_quoted(rest: &str) -> Result<String, &'static str> {
    let mut inside = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return ensure_comment(characters.as_str()).map(|()| inside),
            '$' | '`' => {
                return Err("nothing is substituted here; write the value itself, or quote it with '…'");
            }
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => inside.push(escaped),
                Some(other) => inside.extend(['\\', other]),
                None => break,
            },
            other => inside.push(other),
        }
    }
    Err("the closing \" is missing")
}

fn ensure_comment(after: &str) -> Result<(), &'static str> {
    let after = after.trim_start();
    if after.is_empty() || after.starts_with('#') {
        Ok(())
    } else {
        Err("there is text after the closing quote")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_shell_would_read() {
        let text =
            "# a comment\n\nexport A=1\nB='two words'\nC=\"q\\\"\\$x\"  # why\nD=\nE=http://h:1/a#b\nA=2\n";
        let variables = parse(text).unwrap();
        let read: Vec<_> = variables.iter().collect();
        assert_eq!(
            read,
            [("A", "2"), ("B", "two words"), ("C", "q\"$x"), ("D", ""), ("E", "http://h:1/a#b")]
        );
        assert_eq!(variables.get("D"), None);
    }

    #[test]
    fn names_the_line_and_never_shows_it() {
        for (text, line) in [
            ("A=1\nsecret", 2),
            ("A=$(rm -rf /)", 1),
            ("A=\"`id`\"", 1),
            ("A='open", 1),
            ("A='x'y", 1),
            ("1A=x", 1),
            ("A=b c", 1),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(!error.reason.contains("secret"));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn single_quotes_keep_every_value(value in "[^'\r\n]{0,40}") {
            let variables = parse(&format!("NAME='{value}'")).unwrap();
            proptest::prop_assert_eq!(variables.iter().next(), Some(("NAME", value.trim())));
        }
    }
}
