//! What differs between two documents, line by line, and a document with its findings at their lines.

use std::time::Duration;

use applink_publish::spec::Finding;
use similar::{ChangeTag, TextDiff};

/// Lines around a change, and around a finding.
const AROUND: usize = 3;
/// How long the shortest difference is looked for; after that a longer one will do.
const PATIENCE: Duration = Duration::from_millis(500);
/// Lines shown at most.
const MOST: usize = 4000;
/// Characters of a line that are shown.
const LONGEST: usize = 400;

/// A line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `+`, `-`, a space, or `@` where lines that are alike are left out.
    pub sign: char,
    /// Its number in the former document.
    pub old: Option<usize>,
    /// Its number in the later one.
    pub new: Option<usize>,
    /// What it says.
    pub text: String,
}

impl Line {
    /// Its class in the stylesheet.
    pub fn class(&self) -> &'static str {
        match self.sign {
            '+' => "added",
            '-' => "removed",
            '@' => "gap",
            _ => "same",
        }
    }
}

/// The lines that differ, with some around them. Empty when nothing does.
pub fn between(old: &str, new: &str) -> Vec<Line> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut lines = Vec::new();
    for (number, group) in diff.grouped_ops(AROUND).into_iter().enumerate() {
        if number > 0 {
            lines.push(Line { sign: '@', old: None, new: None, text: String::new() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let (old, new) = (change.old_index().map(|at| at + 1), change.new_index().map(|at| at + 1));
            lines.push(Line { sign, old, new, text: cut(change.value().trim_end_matches(['\r', '\n'])) });
            if lines.len() >= MOST {
                lines.push(Line { sign: '@', old: None, new: None, text: "…".to_owned() });
                return lines;
            }
        }
    }
    lines
}

/// A line of a document that is shown for a finding's sake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Its number; none for the findings that have no place.
    pub number: Option<usize>,
    /// What it says.
    pub text: String,
    /// Whether lines before it are left out.
    pub after_gap: bool,
    /// What is found there.
    pub notes: Vec<Note>,
}

/// A finding, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `error`, `warning` or `note`.
    pub severity: &'static str,
    /// The code.
    pub code: &'static str,
    /// Where: a JSON path.
    pub path: String,
    /// What.
    pub message: String,
    /// How to mend it.
    pub fix: &'static str,
}

impl Note {
    fn of(finding: &Finding) -> Self {
        Self {
            severity: finding.code.severity().as_str(),
            code: finding.code.as_str(),
            path: finding.path.clone(),
            message: finding.message.clone(),
            fix: finding.code.fix(),
        }
    }
}

/// The lines with findings, and some around them.
pub fn annotate(document: &str, findings: &[Finding]) -> Vec<Noted> {
    let line_of = |finding: &Finding| finding.at.and_then(|at| usize::try_from(at.line).ok());
    let unplaced: Vec<Note> =
        findings.iter().filter(|finding| line_of(finding).is_none()).map(Note::of).collect();
    let mut noted = Vec::new();
    if !unplaced.is_empty() {
        noted.push(Noted { number: None, text: String::new(), after_gap: false, notes: unplaced });
    }
    let mut places: Vec<(usize, &Finding)> =
        findings.iter().filter_map(|finding| Some((line_of(finding)?, finding))).collect();
    places.sort_by_key(|(line, _)| *line);
    let mut last = 0;
    let mut places = places.into_iter().peekable();
    let mut shown_until = 0;
    for (index, text) in document.lines().enumerate() {
        let number = index + 1;
        let mut notes = Vec::new();
        while let Some((_, finding)) = places.next_if(|(line, _)| *line <= number) {
            notes.push(Note::of(finding));
            shown_until = number + AROUND;
        }
        let is_near =
            number <= shown_until || places.peek().is_some_and(|(line, _)| *line <= number + AROUND);
        if is_near && noted.len() < MOST {
            let after_gap = number > last + 1;
            noted.push(Noted { number: Some(number), text: cut(text), after_gap, notes });
            last = number;
        }
    }
    // A place behind the last line: the end of the document.
    let rest: Vec<Note> = places.map(|(_, finding)| Note::of(finding)).collect();
    if !rest.is_empty() {
        noted.push(Noted { number: None, text: String::new(), after_gap: false, notes: rest });
    }
    noted
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use applink_publish::spec::{self, Format};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_alike_and_far_is_left_out() {
        let old: String = (1..=40).map(|number| format!("line {number}\n")).collect();
        let new = old.replace("line 5\n", "line five\n").replace("line 35\n", "");
        let lines = between(&old, &new);
        let changed: Vec<String> = lines
            .iter()
            .filter(|line| line.sign != ' ')
            .map(|line| format!("{}{}", line.sign, line.text))
            .collect();
        assert_eq!(changed, ["-line 5", "+line five", "@", "-line 35"]);
        assert_eq!(between(&old, &old), []);
    }

    #[test]
    fn findings_stand_at_their_lines() {
        let document = "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths:\n  /a:\n    get:\n      operationId: a b\n      responses: {}\n";
        let findings = spec::findings(Format::Yaml, document.as_bytes());
        let noted = annotate(document, &findings);
        let with_notes = noted.iter().filter(|line| !line.notes.is_empty());
        assert!(with_notes.clone().any(|line| line.text.contains("get:")), "{noted:?}");
        let notes: usize = with_notes.map(|line| line.notes.len()).sum();
        assert_eq!(notes, findings.len());
    }

    proptest! {
        #[test]
        fn both_documents_can_be_read_off_a_small_difference(
            old in proptest::collection::vec("[a-c]{1,2}", 0..6), new in proptest::collection::vec("[a-c]{1,2}", 0..6),
        ) {
            let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let lines = between(&text(&old), &text(&new));
            if lines.is_empty() {
                prop_assert_eq!(old, new);
            } else if !lines.iter().any(|line| line.sign == '@') && lines.iter().any(|l| l.sign == ' ') == (old.len() + new.len() > lines.len()) {
                let read = |without: char| -> Vec<String> {
                    lines.iter().filter(|line| line.sign != without).map(|line| line.text.clone()).collect()
                };
                let is_part = |part: &[String], all: &[String]| part.is_empty() || all.windows(part.len()).any(|w| w == part);
                prop_assert!(is_part(&read('+'), &old) && is_part(&read('-'), &new));
            }
        }

        #[test]
        fn any_document_is_annotated_without_loss(document in "[ -~\n]{0,300}") {
            let findings = spec::findings(Format::Yaml, document.as_bytes());
            let notes: usize = annotate(&document, &findings).iter().map(|line| line.notes.len()).sum();
            prop_assert_eq!(notes, findings.len());
        }
    }
}
