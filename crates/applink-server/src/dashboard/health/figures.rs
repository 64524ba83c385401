//! From counted rows to what the charts show: pure.

use std::collections::BTreeMap;

use applink_api::time::Timestamp;

use super::charts::{Data, Series, Style};
use crate::invocations::figures::{Seen, Took};

/// Colours tell so many apart; the rest is one more.
const MOST: usize = 7;

/// How far back is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last hour, minute by minute.
    Hour,
    /// The last day, by half hours.
    Day,
    /// The last week, by three hours.
    Week,
}

impl Window {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// As in the address.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }

    /// The one that is asked for; a day when it is none.
    pub fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|window| window.word() == word).unwrap_or(Self::Day)
    }

    fn minutes(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 30,
            Self::Week => 180,
        }
    }

    fn count(self) -> usize {
        match self {
            Self::Hour => 60,
            Self::Day => 48,
            Self::Week => 56,
        }
    }
}

/// The slices of time a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    window: Window,
    first: i64,
}

impl Slices {
    /// Up to the one of now.
    pub fn until(now: Timestamp, window: Window) -> Self {
        let length = window.minutes() * 60_000_000;
        let count = i64::try_from(window.count()).unwrap_or_default();
        Self { window, first: now.as_micros().div_euclid(length) - count + 1 }
    }

    /// The length of one, in microseconds.
    pub fn length(self) -> i64 {
        self.window.minutes() * 60_000_000
    }

    /// The beginning of the first.
    pub fn since(self) -> Timestamp {
        Timestamp::from_micros(self.first * self.length())
    }

    /// Which of them a slice's number is.
    pub fn index(self, slice: i64) -> Option<usize> {
        usize::try_from(slice - self.first).ok().filter(|index| *index < self.window.count())
    }

    /// When each begins.
    fn begins(self) -> impl Iterator<Item = Timestamp> {
        let count = i64::try_from(self.window.count()).unwrap_or_default();
        (self.first..self.first + count).map(move |slice| Timestamp::from_micros(slice * self.length()))
    }

    /// What each begins with, in UTC.
    pub fn labels(self) -> Vec<String> {
        self.begins().map(|at| label(at, self.window)).collect()
    }

    /// The same, exact to the second.
    pub fn moments(self) -> Vec<String> {
        let exact = |at: Timestamp| format!("{}Z", at.to_string().get(..19).unwrap_or_default());
        self.begins().map(exact).collect()
    }
}

fn label(at: Timestamp, window: Window) -> String {
    let text = at.to_string();
    let time = text.get(11..16).unwrap_or_default();
    match window {
        Window::Hour | Window::Day => time.to_owned(),
        Window::Week => format!("{} {time}", text.get(5..10).unwrap_or_default()),
    }
}

/// Adds numbers up by name and slice.
#[derive(Clone, Debug)]
pub struct Sums {
    slices: Slices,
    by_name: BTreeMap<String, Vec<u64>>,
    /// Of what was not told apart when it was counted.
    rest: Vec<u64>,
    /// How many names that is; none when nobody knows.
    unnamed: Option<usize>,
}

impl Sums {
    /// Nothing yet.
    pub fn new(slices: Slices) -> Self {
        Self { slices, by_name: BTreeMap::new(), rest: vec![0; slices.window.count()], unnamed: Some(0) }
    }

    /// Adds what belongs to none of the names that are told apart; there are so many of them, if anybody knows.
    pub fn add_rest(&mut self, unnamed: Option<usize>, slice: i64, number: i64) {
        // Once nobody knows, nobody does.
        self.unnamed = self.unnamed.and(unnamed);
        let value = self.slices.index(slice).and_then(|index| self.rest.get_mut(index));
        if let Some(value) = value {
            *value = value.saturating_add(u64::try_from(number).unwrap_or_default());
        }
    }

    /// Adds; what is outside the slices is left out.
    pub fn add(&mut self, name: &str, slice: i64, number: i64) {
        let Some(index) = self.slices.index(slice) else { return };
        let count = self.slices.window.count();
        let values = self.by_name.entry(name.to_owned()).or_insert_with(|| vec![0; count]);
        if let Some(value) = values.get_mut(index) {
            *value = value.saturating_add(u64::try_from(number).unwrap_or_default());
        }
    }

    /// Adds what the sample has, with how a label is called, and how many of all labels are not told apart.
    pub fn add_seen(&mut self, seen: Vec<Seen>, beyond: fn(i64) -> usize, name: impl Fn(&str) -> String) {
        for one in seen {
            match &one.label {
                Some(label) => self.add(&name(label), one.slice, one.number),
                None => self.add_rest(Some(beyond(one.labels)), one.slice, one.number),
            }
        }
    }

    /// The chart of it: the names with the highest sums, and the rest as one.
    pub fn chart(self, id: &str, title: &str, unit: &'static str) -> Data {
        let total = |values: &[u64]| values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value));
        let mut all: Vec<(String, Vec<u64>)> = self.by_name.into_iter().collect();
        all.sort_by_key(|(name, values)| (std::cmp::Reverse(total(values)), name.clone()));
        let rest = all.split_off(all.len().min(MOST));
        let mut series: Vec<Series> = all.into_iter().map(|(name, values)| Series { name, values }).collect();
        let others = self.unnamed.map(|unnamed| rest.len() + unnamed);
        if others != Some(0) {
            let name = others.map_or_else(|| "others".to_owned(), |others| format!("{others} others"));
            let mut values = self.rest;
            for (sum, added) in rest.iter().flat_map(|(_, one)| one.iter().enumerate()) {
                if let Some(value) = values.get_mut(sum) {
                    *value = value.saturating_add(*added);
                }
            }
            series.push(Series { name, values });
        }
        let (id, title) = (id.to_owned(), title.to_owned());
        let (labels, moments) = (self.slices.labels(), self.slices.moments());
        Data { id, title, unit, labels, moments, series, style: Style::Stacked }
    }
}

/// The chart of how long calls took: what half, nineteen of twenty and ninety-nine of a hundred did not exceed.
pub fn latency(slices: Slices, took: &[Took]) -> Data {
    let share = |name: &str, share: fn(&Took) -> i64| {
        let mut values = vec![0; slices.window.count()];
        for one in took {
            if let Some(value) = slices.index(one.slice).and_then(|index| values.get_mut(index)) {
                *value = u64::try_from(share(one)).unwrap_or_default().div_ceil(1000);
            }
        }
        Series { name: name.to_owned(), values }
    };
    let series = vec![
        share("half (p50)", |one| one.p50),
        share("19 of 20 (p95)", |one| one.p95),
        share("99 of 100 (p99)", |one| one.p99),
    ];
    Data {
        id: "latency".to_owned(),
        title: "How long calls took".to_owned(),
        unit: "ms",
        labels: slices.labels(),
        moments: slices.moments(),
        series,
        style: Style::Lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_796_000_000);

    #[test]
    fn now_is_in_the_last_slice_and_what_is_older_in_none() {
        for window in Window::ALL {
            let slices = Slices::until(NOW, window);
            let slice = |at: Timestamp| at.as_micros() / slices.length();
            assert_eq!(slices.index(slice(NOW)), Some(window.count() - 1));
            assert_eq!(slices.index(slice(slices.since())), Some(0));
            assert_eq!(slices.index(slice(slices.since()) - 1), None);
            assert_eq!(slices.labels().len(), window.count());
            assert_eq!(Window::of(window.word()), window);
        }
    }

    #[test]
    fn the_rest_is_one_series_and_nothing_is_lost() {
        let slices = Slices::until(NOW, Window::Hour);
        let slice = NOW.as_micros() / slices.length();
        let mut sums = Sums::new(slices);
        for number in 0..20 {
            sums.add(&format!("app {number}"), slice, number);
        }
        let data = sums.chart("calls", "Calls", "calls");
        assert_eq!(data.series.len(), MOST + 1);
        assert_eq!(data.series[0].name, "app 19");
        let total: u64 = data.series.iter().flat_map(|one| &one.values).sum();
        assert_eq!(total, (0..20).sum::<u64>());
    }

    #[test]
    fn what_was_not_told_apart_is_among_the_others() {
        let slices = Slices::until(NOW, Window::Hour);
        let slice = NOW.as_micros() / slices.length();
        let mut sums = Sums::new(slices);
        sums.add("app", slice, 3);
        sums.add_rest(Some(40), slice, 5);
        let data = sums.chart("calls", "Calls", "calls");
        let last = &data.series[1];
        assert_eq!((last.name.as_str(), last.values.last()), ("40 others", Some(&5)));
    }

    #[test]
    fn where_nobody_counted_the_others_no_number_is_said() {
        let slices = Slices::until(NOW, Window::Week);
        let slice = NOW.as_micros() / slices.length();
        let mut sums = Sums::new(slices);
        sums.add_rest(None, slice, 5);
        sums.add_rest(Some(40), slice, 5);
        let data = sums.chart("calls", "Calls", "calls");
        let last = &data.series[0];
        assert_eq!((last.name.as_str(), last.values.last()), ("others", Some(&10)));
    }

    #[test]
    fn what_is_between_two_milliseconds_is_the_later() {
        let slices = Slices::until(NOW, Window::Day);
        let slice = NOW.as_micros() / slices.length();
        let took = [Took { slice, p50: 1_500, p95: 2_500_000, p99: 2_500_001 }];
        let data = latency(slices, &took);
        let last: Vec<u64> = data.series.iter().map(|one| *one.values.last().unwrap()).collect();
        assert_eq!(last, [2, 2500, 2501]);
    }
}
