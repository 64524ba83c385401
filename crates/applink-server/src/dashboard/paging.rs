//! Long lists: `?q=…&page=…`.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Deserialize;

/// Rows on a page.
const SIZE: u64 = 50;
const LONGEST_SEARCH: usize = 200;

/// Which page of a list is asked for. A query that can't be read asks for the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    path: String,
    search: String,
    app: String,
    number: u64,
    total: u64,
}

#[derive(Default, Deserialize)]
struct Query {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    app: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::read(parts.uri.path(), parts.uri.query().unwrap_or_default()))
    }
}

impl Paging {
    fn read(path: &str, query: &str) -> Self {
        let query: Query = serde_urlencoded::from_str(query).unwrap_or_default();
        let search: String = query.q.trim().chars().filter(|c| *c != '\0').take(LONGEST_SEARCH).collect();
        let number = query.page.parse().unwrap_or(1).clamp(1, u64::from(u32::MAX));
        let app: String = query.app.chars().filter(|c| *c != '\0').take(LONGEST_SEARCH).collect();
        Self { path: path.to_owned(), search, app, number, total: 0 }
    }

    /// For tests that render a template.
    #[cfg(test)]
    pub(crate) fn sample(query: &str, total: u64) -> Self {
        Self::read("/dashboard/list", query).of(total)
    }

    /// What is searched for; empty for everything.
    pub fn search(&self) -> &str {
        &self.search
    }

    /// The app the list is narrowed to, where it can be; empty for all.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The list's own path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Rows to read at most.
    pub fn limit(&self) -> u64 {
        SIZE
    }

    /// Rows before the first of the page.
    pub fn offset(&self) -> u64 {
        (self.number - 1) * SIZE
    }

    /// With how many rows there are in all; a page behind the last becomes the last.
    #[must_use]
    pub fn of(mut self, total: u64) -> Self {
        self.total = total;
        self.number = self.number.clamp(1, total.div_ceil(SIZE).max(1));
        self
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether there is more than one page.
    pub fn is_long(&self) -> bool {
        self.total > SIZE
    }

    /// "51–100 of 10,000".
    pub fn range(&self) -> String {
        let last = (self.offset() + SIZE).min(self.total);
        let first = (self.offset() + 1).min(last);
        format!("{first}–{last} of {}", self.total)
    }

    /// The page before.
    pub fn previous(&self) -> Option<String> {
        (self.number > 1).then(|| self.page(self.number - 1))
    }

    /// The page after.
    pub fn next(&self) -> Option<String> {
        (self.number * SIZE < self.total).then(|| self.page(self.number + 1))
    }

    fn page(&self, number: u64) -> String {
        let number = number.to_string();
        let mut query = vec![("page", number.as_str())];
        if !self.search.is_empty() {
            query.push(("q", &self.search));
        }
        if !self.app.is_empty() {
            query.push(("app", &self.app));
        }
        format!("{}?{}", self.path, serde_urlencoded::to_string(query).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_keep_the_search() {
        let page = Paging::read("/dashboard/connections", "q=a%26b&page=2").of(120);
        assert_eq!((page.search(), page.offset(), page.range().as_str()), ("a&b", 50, "51–100 of 120"));
        assert_eq!(page.previous().unwrap(), "/dashboard/connections?page=1&q=a%26b");
        assert_eq!(page.next().unwrap(), "/dashboard/connections?page=3&q=a%26b");
        let page = Paging::read("/dashboard/publications", "app=7").of(120);
        assert_eq!(page.next().unwrap(), "/dashboard/publications?page=2&app=7");
    }

    #[test]
    fn a_garbled_or_far_page_is_a_page_that_exists() {
        for query in ["page=0", "page=x", "%%%", "page=-1", ""] {
            let page = Paging::read("/x", query).of(3);
            assert_eq!((page.offset(), page.range().as_str()), (0, "1–3 of 3"), "{query}");
            assert_eq!((page.previous(), page.next()), (None, None));
        }
        let far = Paging::read("/x", "page=99999999999").of(51);
        assert_eq!((far.range().as_str(), far.next()), ("51–51 of 51", None));
        assert_eq!(Paging::read("/x", "").of(0).range(), "0–0 of 0");
    }
}
