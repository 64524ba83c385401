//! Tables and lists of fields in the layout Heroku users know.

use std::fmt;

use unicode_width::UnicodeWidthStr as _;

/// Columns with a rule under their titles.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    /// A table with these column titles.
    pub(crate) fn new(titles: &[&str]) -> Self {
        let mut table = Self { rows: Vec::new(), widths: vec![0; titles.len()] };
        table.row(titles.iter().map(|&title| title.to_owned()));
        table
    }

    /// One more row; a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| printable(&cell)).collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.width());
        }
        self.rows.push(cells);
    }

    fn rule(&self) -> String {
        let width = self.widths.iter().map(|width| width + 3).sum::<usize>();
        "─".repeat(width.saturating_sub(1))
    }

    fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&self.widths) {
            line.push_str(if line.is_empty() { "  " } else { "   " });
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.width())));
        }
        line.trim_end().to_owned()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, row) in self.rows.iter().enumerate() {
            match index {
                0 => write!(f, "{}\n {}", self.line(row), self.rule())?,
                _ => write!(f, "\n{}", self.line(row))?,
            }
        }
        Ok(())
    }
}

/// `Key:   value` lines, the values in one column. Absent values are left out.
pub(crate) fn fields(pairs: &[(&str, Option<String>)]) -> String {
    let present = || pairs.iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
    let width = present().map(|(key, _)| key.width() + 1).max().unwrap_or(0);
    present()
        .map(|(key, value)| format!("{:width$} {}", format!("{key}:"), printable(value)))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names come from other people: a control character must not move the cursor of whoever reads them.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_rule_spans_them() {
        let mut table = Table::new(&["Add-On", "status"]);
        table.row(["applink-1".to_owned(), "Connected".to_owned()]);
        table.row(["é\u{1b}[2J".to_owned(), "Failed".to_owned()]);
        insta::assert_snapshot!(table.to_string(), @"
          Add-On      status
         ───────────────────────
          applink-1   Connected
          é�[2J       Failed
        ");
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let text =
            fields(&[("Org ID", None), ("Status", Some("Failed".into())), ("Created By", Some("me".into()))]);
        insta::assert_snapshot!(text, @"
        Status:     Failed
        Created By: me
        ");
    }
}
