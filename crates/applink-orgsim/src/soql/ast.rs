//! A query as a typed tree. [`std::fmt::Display`] writes it back as SOQL (see `display.rs`).

use jiff::civil::Date;

/// A place in a query, both from 1, in characters.
///
/// Two places always compare equal, so that trees compare by what they say and not by where they say it.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    pub(super) fn after(self, letter: char) -> Self {
        match letter {
            '\n' => Self { line: self.line + 1, column: 1 },
            _ => Self { line: self.line, column: self.column + 1 },
        }
    }
}

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A whole query, or a sub-query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is selected, in order.
    pub select: Vec<Selected>,
    /// The sObject, or in a sub-query the child relationship.
    pub from: Source,
    /// `USING SCOPE`.
    pub scope: Option<String>,
    /// `WHERE`.
    pub filter: Option<Condition>,
    /// `WITH SECURITY_ENFORCED` and its kin: whose rights apply is not the query's to say here.
    pub with: Option<Enforcement>,
    /// `GROUP BY`.
    pub group_by: Vec<Expression>,
    /// `HAVING`.
    pub having: Option<Condition>,
    /// `ORDER BY`.
    pub order_by: Vec<Ordering>,
    /// `LIMIT`.
    pub limit: Option<u64>,
    /// `OFFSET`.
    pub offset: Option<u64>,
    /// `FOR VIEW`, `FOR REFERENCE`, `FOR UPDATE`.
    pub purposes: Vec<Purpose>,
}

/// What a query reads from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// sObject or relationship name as written.
    pub name: String,
    /// Alias.
    pub alias: Option<String>,
    /// Where.
    pub at: Position,
}

/// One item of a `SELECT` list.
#[derive(Debug, Clone, PartialEq)]
pub enum Selected {
    /// A field, aggregate or function, perhaps under another name.
    Expression {
        /// What.
        expression: Expression,
        /// Under which name.
        alias: Option<String>,
    },
    /// `FIELDS(ALL)` and its kin.
    Fields(FieldGroup, Position),
    /// A sub-query over child records.
    Children(Box<Query>),
    /// `COUNT()`: how many rows, and none of them.
    CountRows(Position),
}

/// Which fields `FIELDS()` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldGroup {
    /// All of them.
    All,
    /// Those Salesforce ships.
    Standard,
    /// Those somebody added.
    Custom,
}

/// `Name`, `Account.Owner.Name`.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPath {
    /// Relationship names, then the field; never empty.
    pub parts: Vec<String>,
    /// Where.
    pub at: Position,
}

/// Something with a value per row or per group.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A field of the row or of one of its parents.
    Field(FieldPath),
    /// A value over a group; `COUNT()` has no argument.
    Aggregate(Aggregate, Option<FieldPath>, Position),
    /// A function of one value.
    Function(Function, Box<Expression>, Position),
}

macro_rules! keywords {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As SOQL spells it.
            pub fn keyword(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The one that `word` spells, in any casing.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|item| item.keyword().eq_ignore_ascii_case(word))
            }
        }
    };
}

keywords! {
    /// Functions over a group of rows.
    Aggregate {
        /// Rows, or rows where the field is not null.
        Count = "COUNT",
        /// Different values.
        CountDistinct = "COUNT_DISTINCT",
        /// Sum.
        Sum = "SUM",
        /// Mean.
        Avg = "AVG",
        /// Smallest.
        Min = "MIN",
        /// Largest.
        Max = "MAX",
    }
}

keywords! {
    /// Functions of one value. Times are taken in UTC; the fiscal year is the calendar year.
    Function {
        /// 1 to 12.
        CalendarMonth = "CALENDAR_MONTH",
        /// 1 to 4.
        CalendarQuarter = "CALENDAR_QUARTER",
        /// Year.
        CalendarYear = "CALENDAR_YEAR",
        /// 1 to 31.
        DayInMonth = "DAY_IN_MONTH",
        /// 1 (Sunday) to 7.
        DayInWeek = "DAY_IN_WEEK",
        /// 1 to 366.
        DayInYear = "DAY_IN_YEAR",
        /// The day of a moment.
        DayOnly = "DAY_ONLY",
        /// As the calendar's.
        FiscalMonth = "FISCAL_MONTH",
        /// As the calendar's.
        FiscalQuarter = "FISCAL_QUARTER",
        /// As the calendar's.
        FiscalYear = "FISCAL_YEAR",
        /// 0 to 23.
        HourInDay = "HOUR_IN_DAY",
        /// 1 to 5.
        WeekInMonth = "WEEK_IN_MONTH",
        /// 1 to 53.
        WeekInYear = "WEEK_IN_YEAR",
        /// The translated label; the value itself here, since there is one language.
        ToLabel = "toLabel",
        /// The value as text.
        Format = "FORMAT",
        /// The moment in the user's time zone, which is UTC here.
        ConvertTimezone = "convertTimezone",
        /// The amount in the user's currency; there is one here.
        ConvertCurrency = "convertCurrency",
    }
}

keywords! {
    /// What `WITH` may say about rights.
    Enforcement {
        /// Refuse fields the caller may not read.
        SecurityEnforced = "SECURITY_ENFORCED",
        /// The caller's rights.
        UserMode = "USER_MODE",
        /// Apex only: without the caller's rights. Never honoured for an API call.
        SystemMode = "SYSTEM_MODE",
    }
}

keywords! {
    /// What `FOR` may say the rows are for.
    Purpose {
        /// Mark as viewed.
        View = "VIEW",
        /// Mark as referenced.
        Reference = "REFERENCE",
        /// Lock.
        Update = "UPDATE",
    }
}

keywords! {
    /// Comparison operators.
    Operator {
        /// Equal.
        Equal = "=",
        /// Not equal.
        NotEqual = "!=",
        /// Less.
        Less = "<",
        /// Less or equal.
        LessOrEqual = "<=",
        /// Greater.
        Greater = ">",
        /// Greater or equal.
        GreaterOrEqual = ">=",
        /// Matches a pattern of `%` and `_`.
        Like = "LIKE",
    }
}

/// A condition on rows or groups.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of them hold; at least two.
    And(Vec<Condition>),
    /// One of them holds; at least two.
    Or(Vec<Condition>),
    /// It doesn't hold.
    Not(Box<Condition>),
    /// A comparison.
    Compare {
        /// Left side.
        left: Expression,
        /// Operator.
        operator: Operator,
        /// Right side.
        right: Literal,
    },
    /// `IN` and `NOT IN`.
    In {
        /// Left side.
        left: Expression,
        /// `NOT IN`.
        negated: bool,
        /// What it is looked for in.
        set: Set,
    },
    /// `INCLUDES` and `EXCLUDES`.
    Includes {
        /// Left side.
        left: Expression,
        /// `EXCLUDES`.
        negated: bool,
        /// Values; each may join several with `;`.
        values: Vec<Literal>,
    },
}

/// What `IN` looks into.
#[derive(Debug, Clone, PartialEq)]
pub enum Set {
    /// A list of values.
    Values(Vec<Literal>),
    /// The ids a query answers.
    Query(Box<Query>),
}

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true`, `false`.
    Boolean(bool),
    /// A number as written.
    Number(String),
    /// A string without its quotes and escapes.
    Text(String),
    /// A day.
    Day(Date),
    /// A moment, microseconds since the Unix epoch, UTC.
    Moment(i64),
    /// `TODAY`, `LAST_N_DAYS:3`.
    Relative(super::dates::RelativeDate),
}

/// One item of `ORDER BY`.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordering {
    /// By what.
    pub expression: Expression,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS LAST`; SOQL puts them first unless told.
    pub nulls_last: bool,
}

impl FieldPath {
    /// The path as written.
    pub fn written(&self) -> String {
        self.parts.join(".")
    }
}

impl Expression {
    /// Where it starts.
    pub fn at(&self) -> Position {
        match self {
            Self::Field(path) => path.at,
            Self::Aggregate(_, _, at) | Self::Function(_, _, at) => *at,
        }
    }

    /// Whether it is over a group.
    pub fn is_aggregate(&self) -> bool {
        match self {
            Self::Field(_) => false,
            Self::Aggregate(..) => true,
            Self::Function(_, inner, _) => inner.is_aggregate(),
        }
    }
}

impl Query {
    /// Whether it answers groups and not records.
    pub fn is_aggregate(&self) -> bool {
        let aggregates = |item: &Selected| matches!(item, Selected::Expression { expression, .. } if expression.is_aggregate());
        !self.group_by.is_empty() || self.select.iter().any(aggregates)
    }
}

/// `2025-03-01T10:00:00Z`, with an offset in any of ISO 8601's spellings, to microseconds since the Unix epoch.
pub(crate) fn parse_moment(text: &str) -> Option<i64> {
    let (head, minutes) = match text.rsplit_once(['+', '-']) {
        Some((head, offset)) if head.contains('T') && offset.len() == 4 => {
            (text.get(..text.len() - 2)?, Some(offset.get(2..)?))
        }
        _ => (text, None),
    };
    if !text.contains(['T', 't']) {
        return None;
    }
    let timestamp = match minutes {
        Some(minutes) => format!("{head}:{minutes}").parse::<jiff::Timestamp>(),
        None => text.parse::<jiff::Timestamp>(),
    };
    timestamp.ok().map(jiff::Timestamp::as_microsecond)
}

/// A moment as SOQL and the REST API's input write it: `2025-03-01T10:00:00Z`.
pub(super) fn moment_text(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |moment| moment.to_string())
}
