//! A part of a page of the documentation that a program writes, between two comments.

use std::path::Path;

use anyhow::{Context as _, Result};

/// Where a part is, and what begins and ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// From the root of the project.
    pub(crate) page: &'static str,
    pub(crate) begin: &'static str,
    pub(crate) end: &'static str,
}

impl Part {
    /// Puts `text` into the page, in the place of what was there before, else at its end.
    pub(crate) fn write(self, text: &str) -> Result<()> {
        let page = Path::new(self.page);
        let old = std::fs::read_to_string(page).with_context(|| format!("reading {}", self.page))?;
        std::fs::write(page, self.put_into(&old, text)).with_context(|| format!("writing {}", self.page))
    }

    fn put_into(self, old: &str, text: &str) -> String {
        let part = format!("{}\n{}\n{}", self.begin, text.trim_end(), self.end);
        match (old.find(self.begin), old.find(self.end)) {
            (Some(begin), Some(end)) => {
                let (before, after) = (old.get(..begin), old.get(end + self.end.len()..));
                format!("{}{part}{}", before.unwrap_or_default(), after.unwrap_or_default())
            }
            _ => format!("{}\n\n{part}\n", old.trim_end()),
        }
    }
}

/// The load averages of the machine.
pub(crate) fn load() -> Result<String> {
    let told = std::fs::read_to_string("/proc/loadavg").context("reading the machine's load")?;
    Ok(told.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_replaces_the_former_one_and_nothing_else() {
        let part = Part { page: "", begin: "<!-- b -->", end: "<!-- e -->" };
        let first = part.put_into("# Page\n", "one");
        assert_eq!(first, "# Page\n\n<!-- b -->\none\n<!-- e -->\n");
        let second = part.put_into(&format!("{first}\nmore\n"), "two\n");
        assert_eq!(second, "# Page\n\n<!-- b -->\ntwo\n<!-- e -->\n\nmore\n");
    }
}
