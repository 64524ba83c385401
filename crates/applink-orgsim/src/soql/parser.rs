//! Tokens to a tree, by recursive descent: one function per clause.

use super::ast::{
    Aggregate, Condition, Enforcement, Expression, FieldGroup, FieldPath, Function, Literal, Operator,
    Ordering, Position, Purpose, Query, Selected, Set, Source,
};
use super::dates::RelativeDate;
use super::error::SoqlError;
use super::lexer::{Lexeme, Token, tokenize};

/// The longest query the REST API takes, in characters.
pub(super) const LONGEST: usize = 100_000;
/// How deep parentheses may nest; far beyond what a person writes, well within the stack.
const DEEPEST: usize = 64;

/// Words that end a name's alias.
const RESERVED: &[&str] = &[
    "AND", "AS", "ASC", "DESC", "EXCLUDES", "FIRST", "FOR", "FROM", "GROUP", "HAVING", "IN", "INCLUDES",
    "LAST", "LIKE", "LIMIT", "NOT", "NULL", "NULLS", "OFFSET", "OR", "ORDER", "SELECT", "USING", "WHERE",
    "WITH",
];

type Parsed<T> = Result<T, SoqlError>;

/// Parses a whole query.
pub(super) fn parse(source: &str) -> Parsed<Query> {
    if source.chars().count() > LONGEST {
        let message = format!("SOQL statements cannot be longer than {LONGEST} characters.");
        return Err(SoqlError::whole("MALFORMED_QUERY", message));
    }
    let mut parser = Parser { lexemes: tokenize(source)?, next: 0, depth: 0 };
    if !parser.peeks_word("SELECT") {
        // The one syntax error that the REST API reports without a place.
        let message = format!("unexpected token: {}", parser.here().written);
        return Err(SoqlError::whole("MALFORMED_QUERY", message));
    }
    let query = parser.query()?;
    match parser.here().token {
        Token::End => Ok(query),
        _ => Err(parser.unexpected()),
    }
}

struct Parser {
    lexemes: Vec<Lexeme>,
    next: usize,
    depth: usize,
}

static END: std::sync::LazyLock<Lexeme> =
    std::sync::LazyLock::new(|| Lexeme { token: Token::End, at: Position::START, written: "<EOF>".into() });

impl Parser {
    fn query(&mut self) -> Parsed<Query> {
        self.nested(Self::query_clauses)
    }

    fn query_clauses(&mut self) -> Parsed<Query> {
        self.expect_word("SELECT")?;
        let select = self.list(Self::selected)?;
        self.expect_word("FROM")?;
        let from = self.source()?;
        let mut query = Query {
            select,
            from,
            scope: None,
            filter: None,
            with: None,
            group_by: Vec::new(),
            having: None,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            purposes: Vec::new(),
        };
        if self.take_word("USING") {
            self.expect_word("SCOPE")?;
            query.scope = Some(self.name()?);
        }
        if self.take_word("WHERE") {
            query.filter = Some(self.condition()?);
        }
        if self.take_word("WITH") {
            query.with = Some(self.keyword(Enforcement::from_word)?);
        }
        self.grouping(&mut query)?;
        self.ordering_and_limits(&mut query)?;
        Ok(query)
    }

    fn grouping(&mut self, query: &mut Query) -> Parsed<()> {
        if self.take_word("GROUP") {
            self.expect_word("BY")?;
            query.group_by = self.list(Self::expression)?;
        }
        if self.take_word("HAVING") {
            query.having = Some(self.condition()?);
        }
        Ok(())
    }

    fn ordering_and_limits(&mut self, query: &mut Query) -> Parsed<()> {
        if self.take_word("ORDER") {
            self.expect_word("BY")?;
            query.order_by = self.list(Self::ordering)?;
        }
        if self.take_word("LIMIT") {
            query.limit = Some(self.whole_number()?);
        }
        if self.take_word("OFFSET") {
            query.offset = Some(self.whole_number()?);
        }
        while self.take_word("FOR") {
            query.purposes.push(self.keyword(Purpose::from_word)?);
        }
        Ok(())
    }

    fn selected(&mut self) -> Parsed<Selected> {
        let at = self.here().at;
        if self.take_symbol("(") {
            let query = self.query()?;
            self.expect_symbol(")")?;
            return Ok(Selected::Children(Box::new(query)));
        }
        if self.peeks_call("FIELDS") {
            return self.field_group(at);
        }
        if self.peeks_call("COUNT") && self.peeks_symbol_at(2, ")") {
            self.next += 3;
            return Ok(Selected::CountRows(at));
        }
        let expression = self.expression()?;
        let alias = self.alias()?;
        Ok(Selected::Expression { expression, alias })
    }

    fn field_group(&mut self, at: Position) -> Parsed<Selected> {
        self.next += 2;
        let group = self.keyword(|word| match word.to_ascii_uppercase().as_str() {
            "ALL" => Some(FieldGroup::All),
            "STANDARD" => Some(FieldGroup::Standard),
            "CUSTOM" => Some(FieldGroup::Custom),
            _ => None,
        })?;
        self.expect_symbol(")")?;
        Ok(Selected::Fields(group, at))
    }

    fn source(&mut self) -> Parsed<Source> {
        let at = self.here().at;
        let name = self.name()?;
        let _ = self.take_word("AS");
        let alias = self.alias()?;
        Ok(Source { name, alias, at })
    }

    fn alias(&mut self) -> Parsed<Option<String>> {
        match &self.here().token {
            Token::Word(word) if !is_reserved(word) => self.name().map(Some),
            _ => Ok(None),
        }
    }

    fn expression(&mut self) -> Parsed<Expression> {
        let at = self.here().at;
        let call = match &self.here().token {
            Token::Word(word) if self.peeks_symbol_at(1, "(") => Some(word.clone()),
            _ => None,
        };
        let Some(word) = call else {
            return self.path().map(Expression::Field);
        };
        if let Some(aggregate) = Aggregate::from_word(&word) {
            self.next += 2;
            return self.aggregate(aggregate, at);
        }
        let Some(function) = Function::from_word(&word) else {
            return Err(self.unexpected());
        };
        self.next += 2;
        let inner = self.nested(Self::expression)?;
        self.expect_symbol(")")?;
        Ok(Expression::Function(function, Box::new(inner), at))
    }

    fn aggregate(&mut self, aggregate: Aggregate, at: Position) -> Parsed<Expression> {
        if aggregate == Aggregate::Count && self.take_symbol(")") {
            return Ok(Expression::Aggregate(aggregate, None, at));
        }
        let path = self.path()?;
        self.expect_symbol(")")?;
        Ok(Expression::Aggregate(aggregate, Some(path), at))
    }

    fn path(&mut self) -> Parsed<FieldPath> {
        let at = self.here().at;
        let mut parts = vec![self.name()?];
        while self.take_symbol(".") {
            parts.push(self.name()?);
        }
        Ok(FieldPath { parts, at })
    }

    /// `a AND b AND c` or `a OR b OR c`: SOQL takes no mixture without parentheses.
    fn condition(&mut self) -> Parsed<Condition> {
        let first = self.nested(Self::simple_condition)?;
        let Some(glue) = ["AND", "OR"].into_iter().find(|word| self.peeks_word(word)) else {
            return Ok(first);
        };
        let mut parts = vec![first];
        while self.take_word(glue) {
            parts.push(self.nested(Self::simple_condition)?);
        }
        if self.peeks_word("AND") || self.peeks_word("OR") {
            return Err(self.unexpected());
        }
        Ok(if glue == "AND" { Condition::And(parts) } else { Condition::Or(parts) })
    }

    fn simple_condition(&mut self) -> Parsed<Condition> {
        if self.take_word("NOT") {
            let inner = self.nested(Self::simple_condition)?;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.take_symbol("(") {
            let inner = self.condition()?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        let left = self.expression()?;
        self.comparison(left)
    }

    fn comparison(&mut self, left: Expression) -> Parsed<Condition> {
        if self.take_word("NOT") {
            self.expect_word("IN")?;
            return self.set(left, true);
        }
        if self.take_word("IN") {
            return self.set(left, false);
        }
        for (word, negated) in [("INCLUDES", false), ("EXCLUDES", true)] {
            if self.take_word(word) {
                self.expect_symbol("(")?;
                let values = self.list(Self::literal)?;
                self.expect_symbol(")")?;
                return Ok(Condition::Includes { left, negated, values });
            }
        }
        let operator = self.operator()?;
        let right = self.literal()?;
        Ok(Condition::Compare { left, operator, right })
    }

    fn set(&mut self, left: Expression, negated: bool) -> Parsed<Condition> {
        self.expect_symbol("(")?;
        let set = if self.peeks_word("SELECT") {
            Set::Query(Box::new(self.query()?))
        } else {
            Set::Values(self.list(Self::literal)?)
        };
        self.expect_symbol(")")?;
        Ok(Condition::In { left, negated, set })
    }

    fn operator(&mut self) -> Parsed<Operator> {
        let operator = match &self.here().token {
            Token::Symbol("<>") => Some(Operator::NotEqual),
            Token::Symbol(symbol) => Operator::from_word(symbol),
            Token::Word(word) => Operator::from_word(word),
            _ => None,
        };
        let operator = operator.ok_or_else(|| self.unexpected())?;
        self.next += 1;
        Ok(operator)
    }

    fn literal(&mut self) -> Parsed<Literal> {
        let literal = match &self.here().token {
            Token::Text(text) => Literal::Text(text.clone()),
            Token::Number(number) => Literal::Number(number.clone()),
            Token::Day(day) => Literal::Day(*day),
            Token::Moment(micros) => Literal::Moment(*micros),
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "null" => Literal::Null,
                "true" => Literal::Boolean(true),
                "false" => Literal::Boolean(false),
                _ => return self.relative_date(),
            },
            Token::Symbol(_) | Token::End => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(literal)
    }

    fn relative_date(&mut self) -> Parsed<Literal> {
        let Token::Word(word) = &self.here().token else { return Err(self.unexpected()) };
        let (date, counted) = RelativeDate::from_word(word).ok_or_else(|| self.unexpected())?;
        self.next += 1;
        if !counted {
            return Ok(Literal::Relative(date));
        }
        self.expect_symbol(":")?;
        let at = self.here().at;
        let count = self.whole_number()?;
        u32::try_from(count)
            .ok()
            .and_then(|count| date.with_count(count))
            .map(Literal::Relative)
            .ok_or_else(|| SoqlError::malformed(at, format!("date literal out of range: {count}")))
    }

    fn ordering(&mut self) -> Parsed<Ordering> {
        let expression = self.expression()?;
        let descending = !self.take_word("ASC") && self.take_word("DESC");
        let mut nulls_last = false;
        if self.take_word("NULLS") {
            nulls_last = self.take_word("LAST");
            if !nulls_last {
                self.expect_word("FIRST")?;
            }
        }
        Ok(Ordering { expression, descending, nulls_last })
    }

    fn whole_number(&mut self) -> Parsed<u64> {
        let Token::Number(number) = &self.here().token else { return Err(self.unexpected()) };
        let number = number.parse().map_err(|_| self.unexpected())?;
        self.next += 1;
        Ok(number)
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take_symbol(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn keyword<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Parsed<T> {
        let found = match &self.here().token {
            Token::Word(word) => read(word),
            _ => None,
        };
        let found = found.ok_or_else(|| self.unexpected())?;
        self.next += 1;
        Ok(found)
    }

    fn name(&mut self) -> Parsed<String> {
        self.keyword(|word| (!is_reserved(word)).then(|| word.to_owned()))
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEEPEST {
            return Err(SoqlError::malformed(self.here().at, "the query nests too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn here(&self) -> &Lexeme {
        self.lexemes.get(self.next).or_else(|| self.lexemes.last()).unwrap_or(&END)
    }

    fn peeks_word(&self, expected: &str) -> bool {
        matches!(&self.here().token, Token::Word(word) if word.eq_ignore_ascii_case(expected))
    }

    fn peeks_call(&self, name: &str) -> bool {
        self.peeks_word(name) && self.peeks_symbol_at(1, "(")
    }

    fn peeks_symbol_at(&self, ahead: usize, expected: &str) -> bool {
        let lexeme = self.lexemes.get(self.next + ahead);
        lexeme.is_some_and(|lexeme| matches!(lexeme.token, Token::Symbol(symbol) if symbol == expected))
    }

    fn take_word(&mut self, expected: &str) -> bool {
        let found = self.peeks_word(expected);
        self.next += usize::from(found);
        found
    }

    fn take_symbol(&mut self, expected: &str) -> bool {
        let found = self.peeks_symbol_at(0, expected);
        self.next += usize::from(found);
        found
    }

    fn expect_word(&mut self, expected: &str) -> Parsed<()> {
        if self.take_word(expected) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_symbol(&mut self, expected: &str) -> Parsed<()> {
        if self.take_symbol(expected) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> SoqlError {
        let here = self.here();
        SoqlError::malformed(here.at, format!("unexpected token: '{}'", here.written))
    }
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn field(path: &str) -> Expression {
        let parts = path.split('.').map(str::to_owned).collect();
        Expression::Field(FieldPath { parts, at: Position::START })
    }

    #[test]
    fn the_provisioning_query_parses() {
        let query = parse(
            "
  SELECT Id, Name, AccountId, CloseDate, StageName, Amount,
         (SELECT Id, Product2Id, Product2.Name, Quantity, UnitPrice, PricebookEntryId FROM OpportunityLineItems)
  FROM Opportunity
  WHERE Id IN ('006Sm1000000001','006Sm1000000002')
",
        )
        .unwrap();
        assert_eq!(query.select.len(), 7);
        assert_eq!(query.from.name, "Opportunity");
        let Some(Selected::Children(children)) = query.select.last() else { panic!("{query}") };
        assert_eq!(children.from.name, "OpportunityLineItems");
        assert!(matches!(query.filter, Some(Condition::In { negated: false, .. })));
    }

    #[test]
    fn keywords_are_read_in_any_casing() {
        let query = parse(
            "select count(id) n, account.name from contact c where not name like 'A%' group by account.name \
                   having count(id) > 1 order by account.name desc nulls last limit 5 offset 2 for view",
        )
        .unwrap();
        assert!(query.is_aggregate());
        assert_eq!(query.from.alias.as_deref(), Some("c"));
        assert_eq!((query.limit, query.offset), (Some(5), Some(2)));
        assert_eq!(query.purposes, vec![Purpose::View]);
        assert!(query.order_by.first().unwrap().nulls_last);
        assert!(matches!(query.filter, Some(Condition::Not(_))));
    }

    #[test]
    fn mixed_and_or_needs_parentheses() {
        assert!(parse("SELECT Id FROM Account WHERE a = 1 AND (b = 2 OR c = 3)").is_ok());
        let error = parse("SELECT Id FROM Account WHERE a = 1 AND b = 2 OR c = 3").unwrap_err();
        assert_eq!(error.code(), "MALFORMED_QUERY");
        assert_eq!(error.to_string(), "unexpected token: 'OR'");
    }

    #[test]
    fn syntax_errors_show_the_place() {
        assert_eq!(parse("SELEKT").unwrap_err().in_context("SELEKT"), "unexpected token: SELEKT");
        let source = "SELECT Id FROM";
        assert_eq!(
            parse(source).unwrap_err().in_context(source),
            "\nSELECT Id FROM\n              ^\nERROR at Row:1:Column:15\nunexpected token: '<EOF>'"
        );
        let deep =
            format!("SELECT Id FROM Account WHERE {}a = 1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(parse(&deep).is_err());
        let deep = format!("SELECT Id FROM Account WHERE {}a = 1", "NOT ".repeat(20_000));
        assert!(parse(&deep).is_err());
    }

    fn name() -> impl Strategy<Value = String> {
        "[A-Za-z][A-Za-z0-9_]{0,8}".prop_filter("not a reserved word", |name| {
            !is_reserved(name)
                && RelativeDate::from_word(name).is_none()
                && Aggregate::from_word(name).is_none()
                && !["TRUE", "FALSE"].contains(&name.to_ascii_uppercase().as_str())
        })
    }

    fn path() -> impl Strategy<Value = FieldPath> {
        prop::collection::vec(name(), 1..4).prop_map(|parts| FieldPath { parts, at: Position::START })
    }

    fn expression() -> impl Strategy<Value = Expression> {
        prop_oneof![
            path().prop_map(Expression::Field),
            (prop::sample::select(Aggregate::ALL), path())
                .prop_map(|(aggregate, path)| Expression::Aggregate(aggregate, Some(path), Position::START)),
            (prop::sample::select(Function::ALL), path()).prop_map(|(function, path)| {
                Expression::Function(function, Box::new(Expression::Field(path)), Position::START)
            }),
        ]
    }

    fn literal() -> impl Strategy<Value = Literal> {
        prop_oneof![
            Just(Literal::Null),
            any::<bool>().prop_map(Literal::Boolean),
            any::<i32>().prop_map(|number| Literal::Number(number.to_string())),
            (-1e9..1e9_f64).prop_map(|number| Literal::Number(number.to_string())),
            "[^\u{0}-\u{8}\u{b}-\u{1f}\u{7f}-\u{9f}]{0,12}".prop_map(Literal::Text),
            (1700_i16..2999, 1_i8..13, 1_i8..29)
                .prop_map(|(year, month, day)| Literal::Day(date(year, month, day))),
            (0_i64..4_000_000_000).prop_map(|seconds| Literal::Moment(seconds * 1_000_000)),
            prop::sample::select(RelativeDate::all_for_tests()).prop_map(Literal::Relative),
        ]
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let leaf = prop_oneof![
            (expression(), prop::sample::select(Operator::ALL), literal())
                .prop_map(|(left, operator, right)| Condition::Compare { left, operator, right }),
            (expression(), any::<bool>(), prop::collection::vec(literal(), 1..4)).prop_map(
                |(left, negated, values)| Condition::In { left, negated, set: Set::Values(values) }
            ),
            (expression(), any::<bool>(), prop::collection::vec(literal(), 1..4))
                .prop_map(|(left, negated, values)| Condition::Includes { left, negated, values }),
            (path(), name(), name(), any::<bool>()).prop_map(|(path, column, source, negated)| {
                Condition::In {
                    left: Expression::Field(path),
                    negated,
                    set: Set::Query(Box::new(simple_query(vec![plain(&column)], &source))),
                }
            }),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Or),
                inner.prop_map(|inner| Condition::Not(Box::new(inner))),
            ]
        })
    }

    fn plain(path: &str) -> Selected {
        Selected::Expression { expression: field(path), alias: None }
    }

    fn simple_query(select: Vec<Selected>, source: &str) -> Query {
        Query {
            select,
            from: Source { name: source.to_owned(), alias: None, at: Position::START },
            scope: None,
            filter: None,
            with: None,
            group_by: Vec::new(),
            having: None,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            purposes: Vec::new(),
        }
    }

    fn selected() -> impl Strategy<Value = Selected> {
        prop_oneof![
            (expression(), prop::option::of(name()))
                .prop_map(|(expression, alias)| Selected::Expression { expression, alias }),
            prop::sample::select(vec![FieldGroup::All, FieldGroup::Standard, FieldGroup::Custom])
                .prop_map(|group| Selected::Fields(group, Position::START)),
            (path(), name()).prop_map(|(path, source)| {
                Selected::Children(Box::new(simple_query(vec![plain(&path.written())], &source)))
            }),
            Just(Selected::CountRows(Position::START)),
        ]
    }

    fn ordering() -> impl Strategy<Value = Ordering> {
        (expression(), any::<bool>(), any::<bool>())
            .prop_map(|(expression, descending, nulls_last)| Ordering { expression, descending, nulls_last })
    }

    prop_compose! {
        fn query()(
            select in prop::collection::vec(selected(), 1..4),
            (source, alias) in (name(), prop::option::of(name())),
            scope in prop::option::of(name()),
            filter in prop::option::of(condition()),
            with in prop::option::of(prop::sample::select(Enforcement::ALL)),
            (group_by, having) in (prop::collection::vec(expression(), 0..3), prop::option::of(condition())),
            order_by in prop::collection::vec(ordering(), 0..3),
            (limit, offset) in (prop::option::of(0_u64..50_000), prop::option::of(0_u64..2_000)),
            purposes in prop::collection::vec(prop::sample::select(Purpose::ALL), 0..2),
        ) -> Query {
            let from = Source { name: source, alias, at: Position::START };
            Query { select, from, scope, filter, with, group_by, having, order_by, limit, offset, purposes }
        }
    }

    proptest! {
        #[test]
        fn a_query_written_out_reads_back_the_same(query in query()) {
            let written = query.to_string();
            let read = parse(&written);
            prop_assert_eq!(read.as_ref(), Ok(&query), "{}", written);
        }

        #[test]
        fn any_text_is_parsed_or_refused(source in "\\PC*") {
            if let Err(error) = parse(&source) {
                let _ = error.in_context(&source);
            }
        }

        #[test]
        fn shuffled_soql_is_parsed_or_refused(words in prop::collection::vec(prop::sample::select(vec![
            "SELECT", "FROM", "WHERE", "Id", "Account", "(", ")", ",", ".", "AND", "OR", "NOT", "IN", "=", "<", "'x'",
            "5", "null", "LIMIT", "OFFSET", "ORDER", "BY", "GROUP", "COUNT", "FIELDS", "ALL", "TODAY", "LAST_N_DAYS",
            ":", "2025-01-01", "HAVING", "FOR", "VIEW", "WITH", "USING", "SCOPE", "AS", "toLabel",
        ]), 0..24)) {
            if let Ok(query) = parse(&words.join(" ")) {
                let written = query.to_string();
                prop_assert_eq!(parse(&written), Ok(query), "{}", written);
            }
        }
    }
}
