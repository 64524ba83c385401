//! A stretch of a long list: what is searched for in it, and which of the lines found are wanted.

/// Which lines of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    /// A part of what a line says, in any casing; empty for every line.
    pub(crate) find: &'a str,
    pub(crate) most: usize,
    pub(crate) skipped: usize,
}

impl Stretch<'_> {
    /// The first lines of all.
    pub(crate) const fn first(most: usize) -> Self {
        Self { find: "", most, skipped: 0 }
    }

    /// For `LIKE … ESCAPE '\'`: what is searched for means itself.
    pub(crate) fn pattern(&self) -> String {
        pattern(self.find)
    }

    /// `LIMIT … OFFSET …`.
    pub(crate) fn limit(&self) -> String {
        format!("LIMIT {} OFFSET {}", self.most, self.skipped)
    }
}

/// See [`Stretch::pattern`].
pub(crate) fn pattern(find: &str) -> String {
    let mut pattern = "%".to_owned();
    for letter in find.trim().chars() {
        if matches!(letter, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_means_itself() {
        assert_eq!(pattern(" 100%_a\\b "), "%100\\%\\_a\\\\b%");
        assert_eq!(pattern(""), "%%");
    }
}
