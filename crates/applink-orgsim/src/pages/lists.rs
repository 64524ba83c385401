//! Long lists: a page of them at a time, with what is searched for.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::stretch::{self, Stretch, Words};

/// How many lines a page of a long list has.
pub(super) const PAGE_SIZE: usize = 50;

/// Which page of a list is asked for, and what is searched for in it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Looked {
    pub(super) page: Option<usize>,
    #[serde(default, deserialize_with = "stretch::find")]
    pub(super) find: String,
    /// What a form that led here has done.
    pub(super) done: Option<String>,
}

impl Looked {
    /// Of a list with so many lines that are found.
    pub(super) fn paging(&self, total: usize, path: &str) -> Paging {
        Paging::keyed("page", self.page, total, (path, &self.find))
    }

    /// Whether each word that is searched for is part of one of these.
    pub(super) fn finds(&self, texts: &[&str]) -> bool {
        Words::of(&self.find).are_in(texts.iter().copied())
    }

    /// The page of a list that is there as a whole.
    pub(super) fn cut<T>(
        &self,
        path: &str,
        all: impl IntoIterator<Item = T>,
        is_found: impl Fn(&T) -> bool,
    ) -> (Vec<T>, Paging) {
        let found: Vec<T> = all.into_iter().filter(is_found).collect();
        let paging = self.paging(found.len(), path);
        (paging.page_of(found).collect(), paging)
    }
}

/// Where in a long list a page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) page: usize,
    pub(crate) pages: usize,
    pub(crate) total: usize,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
    /// The list's own address, and what is searched for in it.
    pub(crate) path: String,
    pub(crate) find: String,
    /// What else the list's address has: a tab.
    pub(crate) more: Option<(&'static str, &'static str)>,
}

impl Paging {
    /// Page `wanted` (from 1, moved to the nearest there is) of `total` lines, in a list whose pages the parameter `key`
    /// counts; with its path and what is searched for in it.
    pub(super) fn keyed(key: &str, wanted: Option<usize>, total: usize, (path, find): (&str, &str)) -> Self {
        let pages = total.div_ceil(PAGE_SIZE).max(1);
        let page = wanted.unwrap_or(1).clamp(1, pages);
        let query = match find.trim() {
            "" => String::new(),
            find => format!("&find={}", utf8_percent_encode(find, NON_ALPHANUMERIC)),
        };
        let link = |page: usize| format!("{path}?{key}={page}{query}");
        Self {
            page,
            pages,
            total,
            previous: (page > 1).then(|| link(page - 1)),
            next: (page < pages).then(|| link(page + 1)),
            path: path.to_owned(),
            find: find.trim().to_owned(),
            more: None,
        }
    }

    /// In one of the list's tabs.
    pub(super) fn with(mut self, key: &'static str, value: &'static str) -> Self {
        for link in [&mut self.previous, &mut self.next].into_iter().flatten() {
            link.push_str(&format!("&{key}={value}"));
        }
        self.more = Some((key, value));
        self
    }

    /// The address of the whole list.
    pub(crate) fn all(&self) -> String {
        let Self { path, more, .. } = self;
        more.map_or_else(|| path.clone(), |(key, value)| format!("{path}?{key}={value}"))
    }

    /// How many lines come before this page's.
    pub(super) fn offset(&self) -> usize {
        (self.page - 1) * PAGE_SIZE
    }

    /// The lines of this page.
    pub(super) fn stretch(&self) -> Stretch<'_> {
        Stretch { find: &self.find, most: PAGE_SIZE, skipped: self.offset() }
    }

    /// The same of all that is found.
    pub(super) fn page_of<T>(&self, found: Vec<T>) -> impl Iterator<Item = T> + use<T> {
        found.into_iter().skip(self.offset()).take(PAGE_SIZE)
    }

    /// Whether there is anything to search for: on one page one sees it all.
    pub(crate) fn is_searchable(&self) -> bool {
        self.pages > 1 || !self.find.is_empty()
    }

    /// Whether there is nothing at all, rather than nothing that was searched for.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0 && self.find.is_empty()
    }

    pub(crate) fn first(&self) -> usize {
        if self.total == 0 { 0 } else { self.offset() + 1 }
    }

    pub(crate) fn last(&self) -> usize {
        self.total.min(self.offset() + PAGE_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paging_stays_within_the_list() {
        let paging = Paging::keyed("page", Some(201), 10_000, ("/records/Account", " a&b "));
        assert_eq!((paging.page, paging.pages, paging.first(), paging.last()), (200, 200, 9_951, 10_000));
        assert_eq!(paging.previous.as_deref(), Some("/records/Account?page=199&find=a%26b"));
        assert_eq!(paging.next, None);
        let empty = Paging::keyed("page", Some(0), 0, ("/x", ""));
        assert_eq!((empty.page, empty.pages, empty.first(), empty.last()), (1, 1, 0, 0));
        assert!(empty.is_empty() && !empty.is_searchable());
    }

    #[test]
    fn a_list_is_cut_to_what_is_found() {
        let looked = Looked { page: Some(2), find: "ROW 1".to_owned(), done: None };
        let rows = (0..200).map(|number| format!("{number} row"));
        let (rows, paging) = looked.cut("/x", rows, |row| looked.finds(&[row]));
        assert_eq!((paging.total, rows.len()), (119, 50));
        assert_eq!(rows[0], "131 row");
        let nothing = Looked { find: "no such row".to_owned(), ..Looked::default() };
        let (rows, paging) = nothing.cut("/x", ["row".to_owned()], |row| nothing.finds(&[row]));
        assert!(rows.is_empty() && !paging.is_empty() && paging.is_searchable());
    }
}
