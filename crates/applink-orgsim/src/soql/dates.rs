//! Relative dates: `TODAY`, `LAST_N_DAYS:n`, `THIS_FISCAL_QUARTER` and their kin.
//!
//! Days begin at midnight UTC, weeks on Sunday, and the fiscal year is the calendar year.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

/// A span of days relative to today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelativeDate {
    form: Form,
    unit: Unit,
    fiscal: bool,
    count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Last,
    This,
    Next,
    Last90,
    Next90,
    LastN,
    NextN,
    Ago,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// How far `:n` may reach; beyond it the calendar of any real org ends.
const MOST: u32 = 10_000;

impl RelativeDate {
    /// The relative date a word names, and whether `:n` has to follow.
    pub(super) fn from_word(word: &str) -> Option<(Self, bool)> {
        let word = word.to_ascii_uppercase();
        let plain = |form, unit| Some((Self { form, unit, fiscal: false, count: 1 }, false));
        match word.as_str() {
            "YESTERDAY" => return plain(Form::Last, Unit::Day),
            "TODAY" => return plain(Form::This, Unit::Day),
            "TOMORROW" => return plain(Form::Next, Unit::Day),
            "LAST_90_DAYS" => return plain(Form::Last90, Unit::Day),
            "NEXT_90_DAYS" => return plain(Form::Next90, Unit::Day),
            _ => {}
        }
        let (form, rest) = Form::strip(&word)?;
        let (fiscal, rest) = match rest.strip_prefix("FISCAL_") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let counted = matches!(form, Form::LastN | Form::NextN | Form::Ago);
        let unit = Unit::from_word(if counted { rest.strip_suffix('S')? } else { rest })?;
        let allowed =
            (counted || unit != Unit::Day) && (!fiscal || matches!(unit, Unit::Quarter | Unit::Year));
        allowed.then_some((Self { form, unit, fiscal, count: 1 }, counted))
    }

    /// The same with `:n`; `None` when `n` is out of range.
    pub(super) fn with_count(self, count: u32) -> Option<Self> {
        (1..=MOST).contains(&count).then_some(Self { count, ..self })
    }

    /// The days it covers when today is `today`: the first, and the one after the last.
    pub(super) fn range(self, today: Date) -> (Date, Date) {
        let count = i64::from(self.count);
        let start = self.unit.start(today);
        let at = |steps: i64| self.unit.step(start, steps);
        match self.form {
            Form::Last => (at(-1), start),
            Form::This => (start, at(1)),
            Form::Next => (at(1), at(2)),
            Form::Last90 => (at(-90), at(1)),
            Form::Next90 => (at(1), at(91)),
            // Counted days include today, counted weeks and longer units leave the running one out.
            Form::LastN if self.unit == Unit::Day => (at(-count), at(1)),
            Form::LastN => (at(-count), start),
            Form::NextN => (at(1), at(count + 1)),
            Form::Ago => (at(-count), at(1 - count)),
        }
    }

    #[cfg(test)]
    pub(super) fn all_for_tests() -> Vec<Self> {
        let mut all = Vec::new();
        for unit in ["DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "FISCAL_QUARTER", "FISCAL_YEAR"] {
            for word in [format!("LAST_{unit}"), format!("THIS_{unit}"), format!("NEXT_{unit}")] {
                all.extend(Self::from_word(&word).map(|(date, _)| date));
            }
            for word in [format!("LAST_N_{unit}S"), format!("NEXT_N_{unit}S"), format!("N_{unit}S_AGO")] {
                all.extend(Self::from_word(&word).and_then(|(date, _)| date.with_count(7)));
            }
        }
        for word in ["YESTERDAY", "TODAY", "TOMORROW", "LAST_90_DAYS", "NEXT_90_DAYS"] {
            all.extend(Self::from_word(word).map(|(date, _)| date));
        }
        all
    }
}

impl Form {
    fn strip(word: &str) -> Option<(Self, &str)> {
        if let Some(rest) = word.strip_prefix("N_").and_then(|rest| rest.strip_suffix("_AGO")) {
            return Some((Self::Ago, rest));
        }
        [
            ("LAST_N_", Self::LastN),
            ("NEXT_N_", Self::NextN),
            ("LAST_", Self::Last),
            ("THIS_", Self::This),
            ("NEXT_", Self::Next),
        ]
        .into_iter()
        .find_map(|(prefix, form)| word.strip_prefix(prefix).map(|rest| (form, rest)))
    }
}

impl Unit {
    const ALL: [(&'static str, Self); 5] = [
        ("DAY", Self::Day),
        ("WEEK", Self::Week),
        ("MONTH", Self::Month),
        ("QUARTER", Self::Quarter),
        ("YEAR", Self::Year),
    ];

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, unit)| *unit)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, unit)| *unit == self).map_or("DAY", |(name, _)| name)
    }

    fn start(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Week => {
                let since_sunday = i64::from(day.weekday().since(Weekday::Sunday));
                day.saturating_sub(since_sunday.days())
            }
            Self::Month => day.first_of_month(),
            Self::Quarter => {
                let month = (day.month() - 1) / 3 * 3 + 1;
                Date::new(day.year(), month, 1).unwrap_or(day)
            }
            Self::Year => day.first_of_year(),
        }
    }

    fn step(self, from: Date, steps: i64) -> Date {
        let span = match self {
            Self::Day => steps.days(),
            Self::Week => steps.weeks(),
            Self::Month => steps.months(),
            Self::Quarter => (steps * 3).months(),
            Self::Year => steps.years(),
        };
        from.saturating_add(span)
    }
}

impl fmt::Display for RelativeDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fiscal = if self.fiscal { "FISCAL_" } else { "" };
        let unit = self.unit.name();
        match (self.form, self.unit) {
            (Form::Last, Unit::Day) => f.write_str("YESTERDAY"),
            (Form::This, Unit::Day) => f.write_str("TODAY"),
            (Form::Next, Unit::Day) => f.write_str("TOMORROW"),
            (Form::Last, _) => write!(f, "LAST_{fiscal}{unit}"),
            (Form::This, _) => write!(f, "THIS_{fiscal}{unit}"),
            (Form::Next, _) => write!(f, "NEXT_{fiscal}{unit}"),
            (Form::Last90, _) => f.write_str("LAST_90_DAYS"),
            (Form::Next90, _) => f.write_str("NEXT_90_DAYS"),
            (Form::LastN, _) => write!(f, "LAST_N_{fiscal}{unit}S:{}", self.count),
            (Form::NextN, _) => write!(f, "NEXT_N_{fiscal}{unit}S:{}", self.count),
            (Form::Ago, _) => write!(f, "N_{fiscal}{unit}S_AGO:{}", self.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn range(text: &str) -> (Date, Date) {
        let (word, count) = text.split_once(':').unwrap_or((text, "1"));
        let (relative, counted) = RelativeDate::from_word(word).unwrap();
        assert_eq!(counted, text.contains(':'), "{text}");
        relative.with_count(count.parse().unwrap()).unwrap().range(date(2025, 5, 14))
    }

    #[test]
    fn ranges_around_a_wednesday_in_may() {
        for (text, first, after) in [
            ("TODAY", date(2025, 5, 14), date(2025, 5, 15)),
            ("YESTERDAY", date(2025, 5, 13), date(2025, 5, 14)),
            ("LAST_N_DAYS:3", date(2025, 5, 11), date(2025, 5, 15)),
            ("NEXT_N_DAYS:3", date(2025, 5, 15), date(2025, 5, 18)),
            ("N_DAYS_AGO:3", date(2025, 5, 11), date(2025, 5, 12)),
            ("THIS_WEEK", date(2025, 5, 11), date(2025, 5, 18)),
            ("LAST_N_WEEKS:2", date(2025, 4, 27), date(2025, 5, 11)),
            ("THIS_QUARTER", date(2025, 4, 1), date(2025, 7, 1)),
            ("LAST_FISCAL_QUARTER", date(2025, 1, 1), date(2025, 4, 1)),
            ("NEXT_N_YEARS:2", date(2026, 1, 1), date(2028, 1, 1)),
            ("LAST_90_DAYS", date(2025, 2, 13), date(2025, 5, 15)),
        ] {
            assert_eq!(range(text), (first, after), "{text}");
        }
    }

    #[test]
    fn words_that_name_no_date_are_not_taken() {
        for word in ["LAST_DAY", "THIS_FISCAL_WEEK", "N_DAYS", "NEXT_N_WEEK", "ACCOUNT"] {
            assert!(RelativeDate::from_word(word).is_none(), "{word}");
        }
        let (relative, _) = RelativeDate::from_word("LAST_N_DAYS").unwrap();
        assert!(relative.with_count(0).is_none());
        assert!(relative.with_count(10_001).is_none());
    }

    #[test]
    fn every_relative_date_writes_itself_back() {
        for relative in RelativeDate::all_for_tests() {
            let text = relative.to_string();
            let (word, count) = text.split_once(':').unwrap_or((text.as_str(), "1"));
            let (read, _) = RelativeDate::from_word(word).unwrap();
            assert_eq!(read.with_count(count.parse().unwrap()), Some(relative), "{text}");
        }
    }
}
