//! Text to tokens, each with its place.

use super::ast::{Position, parse_moment};
use super::error::SoqlError;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or name: a letter, then letters, digits and `_`.
    Word(String),
    /// A string literal with its escapes undone; `\_` and `\%` keep their backslash for `LIKE`.
    Text(String),
    /// A number as written.
    Number(String),
    /// `YYYY-MM-DD`.
    Day(jiff::civil::Date),
    /// A moment with an offset, as microseconds since the Unix epoch, UTC.
    Moment(i64),
    /// Punctuation and operators.
    Symbol(&'static str),
    /// The end of the query.
    End,
}

/// A token, where it starts, and how it was written.
#[derive(Debug, Clone)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) at: Position,
    pub(super) written: String,
}

// Longer symbols first, so that `<=` isn't read as `<`.
const SYMBOLS: [&str; 13] = ["!=", "<>", "<=", ">=", "<", ">", "=", "(", ")", ",", ".", ":", "*"];

struct Scanner<'s> {
    rest: &'s str,
    at: Position,
}

/// Splits a query into tokens; the last one is [`Token::End`].
pub(super) fn tokenize(source: &str) -> Result<Vec<Lexeme>, SoqlError> {
    let mut scanner = Scanner { rest: source, at: Position::START };
    let mut lexemes = Vec::new();
    loop {
        scanner.skip_spaces();
        let at = scanner.at;
        let Some(first) = scanner.rest.chars().next() else {
            lexemes.push(Lexeme { token: Token::End, at, written: "<EOF>".into() });
            return Ok(lexemes);
        };
        let before = scanner.rest;
        let token = scanner.token(first)?;
        let length = before.len() - scanner.rest.len();
        let written = before.get(..length).unwrap_or_default().to_owned();
        lexemes.push(Lexeme { token, at, written });
    }
}

impl<'s> Scanner<'s> {
    fn token(&mut self, first: char) -> Result<Token, SoqlError> {
        if first.is_ascii_alphabetic() || first == '_' {
            let word = self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            return Ok(Token::Word(word.to_owned()));
        }
        if first == '\'' {
            return self.text().map(Token::Text);
        }
        if first.is_ascii_digit() || (matches!(first, '-' | '+' | '.') && self.digit_follows()) {
            return self.number_or_time();
        }
        let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol)) else {
            let what = format!("unexpected token: '{first}'");
            return Err(SoqlError::malformed(self.at, what));
        };
        self.advance(symbol.len());
        Ok(Token::Symbol(symbol))
    }

    fn digit_follows(&self) -> bool {
        let mut letters = self.rest.chars().skip(1);
        match letters.next() {
            Some('.') => letters.next().is_some_and(|letter| letter.is_ascii_digit()),
            Some(letter) => letter.is_ascii_digit(),
            None => false,
        }
    }

    fn number_or_time(&mut self) -> Result<Token, SoqlError> {
        let at = self.at;
        let mut previous = ' ';
        let run = self.take_while(|letter| {
            let sign_fits = matches!(previous, ' ' | 'e' | 'E' | '0'..='9');
            let fits = letter.is_ascii_alphanumeric()
                || matches!(letter, '.' | ':')
                || (matches!(letter, '-' | '+') && sign_fits);
            previous = letter;
            fits
        });
        if is_number(run) {
            return Ok(Token::Number(run.to_owned()));
        }
        if let Ok(day) = run.parse::<jiff::civil::Date>()
            && run.len() == 10
        {
            return Ok(Token::Day(day));
        }
        match parse_moment(run) {
            Some(micros) => Ok(Token::Moment(micros)),
            None => Err(SoqlError::malformed(at, format!("unexpected token: '{run}'"))),
        }
    }

    fn text(&mut self) -> Result<String, SoqlError> {
        let start = self.at;
        self.advance(1);
        let mut text = String::new();
        loop {
            let plain = self.take_while(|letter| letter != '\'' && letter != '\\');
            text.push_str(plain);
            match self.rest.chars().next() {
                Some('\'') => {
                    self.advance(1);
                    return Ok(text);
                }
                Some(_) => self.escape(&mut text)?,
                None => {
                    let what = "unterminated string literal: a ' is missing at its end";
                    return Err(SoqlError::malformed(start, what.to_owned()));
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), SoqlError> {
        let at = self.at;
        self.advance(1);
        let Some(letter) = self.rest.chars().next() else { return Ok(()) };
        match letter {
            'n' | 'N' => text.push('\n'),
            'r' | 'R' => text.push('\r'),
            't' | 'T' => text.push('\t'),
            'b' | 'B' => text.push('\u{8}'),
            'f' | 'F' => text.push('\u{c}'),
            '\'' | '"' | '\\' => text.push(letter),
            '_' | '%' => text.extend(['\\', letter]),
            _ => {
                let what = format!("Illegal character sequence '\\{letter}' in string literal");
                return Err(SoqlError::malformed(at, what));
            }
        }
        self.advance(letter.len_utf8());
        Ok(())
    }

    fn skip_spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn take_while(&mut self, mut fits: impl FnMut(char) -> bool) -> &'s str {
        let rest = self.rest;
        let length = rest.find(|letter| !fits(letter)).unwrap_or(rest.len());
        self.advance(length);
        rest.get(..length).unwrap_or_default()
    }

    fn advance(&mut self, length: usize) {
        let Some((passed, rest)) = self.rest.split_at_checked(length) else { return };
        for letter in passed.chars() {
            self.at = self.at.after(letter);
        }
        self.rest = rest;
    }
}

/// `[+-]digits[.digits][e[+-]digits]`, with digits on at least one side of the point.
fn is_number(run: &str) -> bool {
    let plain = run.strip_prefix(['-', '+']).unwrap_or(run);
    let looks_right = plain.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let starts_right = plain.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.');
    looks_right && starts_right && run.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(source: &str) -> Vec<Token> {
        tokenize(source).unwrap().into_iter().map(|lexeme| lexeme.token).collect()
    }

    #[test]
    fn literals_are_told_apart() {
        assert_eq!(
            tokens("-1.5 2025-03-01 2025-03-01T00:00:00+01:00 'a\\'b\\\\c\\%' LAST_N_DAYS:3"),
            vec![
                Token::Number("-1.5".into()),
                Token::Day(jiff::civil::date(2025, 3, 1)),
                Token::Moment(1_740_783_600_000_000),
                Token::Text("a'b\\c\\%".into()),
                Token::Word("LAST_N_DAYS".into()),
                Token::Symbol(":"),
                Token::Number("3".into()),
                Token::End,
            ]
        );
    }

    #[test]
    fn errors_name_the_place() {
        let error = tokenize("SELECT Id\nFROM Account WHERE Name = 'x").unwrap_err();
        assert_eq!(error.position(), Some(Position { line: 2, column: 27 }));
        assert!(tokenize("SELECT ; FROM").is_err());
        assert!(tokenize("WHERE a = 'x\\q'").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_tokenized_or_refused(source in "\\PC*") {
            let _ = tokenize(&source);
        }

        #[test]
        fn query_like_text_is_tokenized_or_refused(source in "[a-zA-Z0-9_'\\\\ .,:()<>=!%+\n-]*") {
            let _ = tokenize(&source);
        }
    }
}
