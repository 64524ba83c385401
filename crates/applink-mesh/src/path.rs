//! One reading of a request's path, used both to decide and to forward.
//!
//! An app (or the framework under it) may decode a path once or twice, resolve dot segments, cut off matrix
//! parameters (`;v=1`), turn `\` into `/` or merge slashes before it routes. Whoever decides by one reading while
//! the app acts by another can be walked around (`/public/..%2fsecret`). So a path is accepted only when all
//! those readings agree on where it leads, and then the very bytes that were judged are forwarded:
//!
//! 1. Every `%` must begin an escape; NUL and other control characters, `\`, encoded dots and dot segments are
//!    refused, however deep they are encoded.
//! 2. An encoded slash or an empty segment (`//`) is refused too, unless [`PathRule::Verbatim`] lets a *verified*
//!    call have them (item names with a slash, base URLs that end in one).
//! 3. On open routes an encoded `#` or `?` and bytes that are not UTF-8 are refused as well.
//!
//! A fragment (`#…`) is no part of a request target; the HTTP parser drops it before this module sees the path.

use http::uri::{PathAndQuery, Uri};

/// How often a path may be encoded upon itself before it is refused unread.
const MAX_LAYERS: usize = 4;

/// Whether a verified call may have encoded slashes and empty segments in its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathRule {
    /// No.
    #[default]
    Strict,
    /// Yes. Open routes stay strict.
    Verbatim,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A `%` that begins no escape.
    #[error("a percent sign that begins no escape")]
    BadEscape,
    /// NUL, another control character or DEL, plain or encoded.
    #[error("a control character")]
    ControlCharacter,
    /// `\`, plain or encoded: some apps read it as `/`.
    #[error("a backslash")]
    Backslash,
    /// `%2e`: no client needs it, and it hides dot segments.
    #[error("an encoded dot")]
    EncodedDot,
    /// `.` or `..` as a segment, also with matrix parameters (`..;x`).
    #[error("a dot segment")]
    DotSegment,
    /// `%2f`, also encoded again.
    #[error("an encoded slash")]
    EncodedSlash,
    /// `//`.
    #[error("an empty segment")]
    EmptySegment,
    /// Encoded more than four times over.
    #[error("too many layers of encoding")]
    TooDeep,
    /// `%23` or `%3f` on an open route: an app that decodes first would end the path there.
    #[error("an encoded delimiter on an open route")]
    EncodedDelimiter,
    /// Bytes that are no UTF-8 on an open route (overlong forms hide dots and slashes).
    #[error("bytes that are not UTF-8 on an open route")]
    NotUtf8,
    /// Not a path at all (`*`).
    #[error("not a path")]
    NotAPath,
}

/// A path that leads to one place only.
#[derive(Clone, Debug)]
pub struct RequestPath {
    sent: PathAndQuery,
    decoded: Vec<u8>,
    /// Acceptable only on a verified call, under [`PathRule::Verbatim`].
    oddity: Option<PathError>,
}

impl RequestPath {
    /// Reads the path of a request target.
    ///
    /// # Errors
    /// [`PathError`] when it can be read in more than one way.
    pub fn parse(uri: &Uri) -> Result<Self, PathError> {
        let sent = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        if !sent.path().starts_with('/') {
            return Err(PathError::NotAPath);
        }
        let (decoded, oddity) = read(sent.path().as_bytes())?;
        Ok(Self { sent, decoded, oddity })
    }

    /// Path and query exactly as sent: what is forwarded.
    pub fn as_sent(&self) -> &PathAndQuery {
        &self.sent
    }

    /// The path without its query, as sent: what is logged.
    pub fn path(&self) -> &str {
        self.sent.path()
    }

    /// The query as sent.
    pub fn query(&self) -> Option<&str> {
        self.sent.query()
    }

    /// The path with its escapes resolved: what rules are matched against.
    pub fn decoded(&self) -> &[u8] {
        &self.decoded
    }

    /// Refuses what only a verified call may have.
    ///
    /// # Errors
    /// [`PathError::EncodedSlash`] or [`PathError::EmptySegment`].
    pub fn ensure_plain(&self) -> Result<(), PathError> {
        self.oddity.map_or(Ok(()), Err)
    }

    /// Refuses what no open route may have.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn ensure_plain_for_open_route(&self) -> Result<(), PathError> {
        self.ensure_plain()?;
        if self.decoded.iter().any(|byte| matches!(byte, b'#' | b'?')) {
            return Err(PathError::EncodedDelimiter);
        }
        if std::str::from_utf8(&self.decoded).is_err() {
            return Err(PathError::NotUtf8);
        }
        Ok(())
    }
}

/// Peels layer after layer of encoding, judging each. Gives the first layer, which is what rules match against.
fn read(sent: &[u8]) -> Result<(Vec<u8>, Option<PathError>), PathError> {
    ensure_escapes(sent)?;
    ensure_no_encoded_dot(sent)?;
    ensure_safe(sent)?;
    let mut oddity = has_empty_segment(sent).then_some(PathError::EmptySegment);
    if !sent.contains(&b'%') {
        return Ok((sent.to_vec(), oddity));
    }
    let first = decode(sent);
    let (mut outer, mut inner) = (sent.to_vec(), first.clone());
    for _ in 0..MAX_LAYERS {
        if inner == outer {
            return Ok((first, oddity));
        }
        ensure_no_encoded_dot(&inner)?;
        ensure_safe(&inner)?;
        if slashes(&inner) > slashes(&outer) {
            oddity = oddity.or(Some(PathError::EncodedSlash));
        }
        outer = inner;
        inner = decode(&outer);
    }
    Err(PathError::TooDeep)
}

fn ensure_escapes(path: &[u8]) -> Result<(), PathError> {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = rest.get(at + 3..).unwrap_or_default();
            }
            _ => return Err(PathError::BadEscape),
        }
    }
    Ok(())
}

fn ensure_no_encoded_dot(path: &[u8]) -> Result<(), PathError> {
    let encoded = path.windows(3).any(|window| window.eq_ignore_ascii_case(b"%2e"));
    if encoded { Err(PathError::EncodedDot) } else { Ok(()) }
}

fn ensure_safe(path: &[u8]) -> Result<(), PathError> {
    if path.iter().any(|byte| byte.is_ascii_control()) {
        return Err(PathError::ControlCharacter);
    }
    if path.contains(&b'\\') {
        return Err(PathError::Backslash);
    }
    if path.split(|byte| *byte == b'/').any(is_dot_segment) {
        return Err(PathError::DotSegment);
    }
    Ok(())
}

/// Servlet containers cut a segment at `;` before they resolve dots, so `..;x` counts.
fn is_dot_segment(segment: &[u8]) -> bool {
    let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    matches!(name, b"." | b"..")
}

fn has_empty_segment(path: &[u8]) -> bool {
    path.windows(2).any(|pair| pair == b"//")
}

fn slashes(path: &[u8]) -> usize {
    path.iter().filter(|byte| **byte == b'/').count()
}

/// Resolves one layer of escapes; what is no escape stays as it is.
fn decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, after) = escape(rest).unwrap_or((*first, tail));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    let high = char::from(*high).to_digit(16)?;
    let low = char::from(*low).to_digit(16)?;
    Some((u8::try_from(high * 16 + low).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<RequestPath, PathError> {
        RequestPath::parse(&path.parse::<Uri>().unwrap())
    }

    #[test]
    fn ordinary_paths_are_kept_byte_for_byte() {
        for path in [
            "/",
            "/a/b",
            "/a/",
            "/a.b/c..d/...",
            "/a;v=1/b",
            "/caf%C3%A9?x=%zz&y=/../",
            "/50%25",
            "/a%20b%23c",
        ] {
            let read = parse(path).unwrap();
            assert_eq!(read.as_sent().as_str(), path);
            assert!(read.ensure_plain().is_ok(), "{path}");
        }
        assert_eq!(parse("/caf%C3%A9").unwrap().decoded(), "/café".as_bytes());
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for (path, error) in [
            ("/pub/../secret", PathError::DotSegment),
            ("/pub/.", PathError::DotSegment),
            ("/pub/..;/secret", PathError::DotSegment),
            ("/pub/..;a=b/secret", PathError::DotSegment),
            ("/pub/%2e%2e/secret", PathError::EncodedDot),
            ("/pub/.%2E/secret", PathError::EncodedDot),
            ("/pub/%252e%252e/secret", PathError::EncodedDot),
            ("/pub/%25252e%25252e/secret", PathError::EncodedDot),
            ("/pub%5c..%5csecret", PathError::Backslash),
            ("/pub%255c..", PathError::Backslash),
            ("/pub\\..\\secret", PathError::Backslash),
            ("/pub%00", PathError::ControlCharacter),
            ("/pub%0d%0ax", PathError::ControlCharacter),
            ("/pub/%2525252525252525x", PathError::TooDeep),
            ("/pub/%zz", PathError::BadEscape),
            ("/pub/%2", PathError::BadEscape),
            ("*", PathError::NotAPath),
        ] {
            assert_eq!(parse(path).map(|_| ()), Err(error), "{path}");
        }
    }

    #[test]
    fn encoded_slashes_and_empty_segments_are_odd_but_readable() {
        for (path, error) in [
            ("/items/a%2Fb", PathError::EncodedSlash),
            ("/items/a%252fb", PathError::EncodedSlash),
            ("//items", PathError::EmptySegment),
            ("/items//1", PathError::EmptySegment),
        ] {
            assert_eq!(parse(path).unwrap().ensure_plain(), Err(error), "{path}");
        }
    }

    #[test]
    fn open_routes_are_stricter() {
        for (path, error) in [
            ("/open%23/x", PathError::EncodedDelimiter),
            ("/open%3F/x", PathError::EncodedDelimiter),
            ("/open/%c0%ae%c0%ae/x", PathError::NotUtf8),
            ("/open/a%2fb", PathError::EncodedSlash),
        ] {
            assert_eq!(parse(path).unwrap().ensure_plain_for_open_route(), Err(error), "{path}");
        }
    }

    /// What apps are known to do to a path before they route.
    fn readings(path: &[u8]) -> Vec<Vec<u8>> {
        let mut readings = vec![path.to_vec()];
        for _ in 0..3 {
            let next = decode(readings.last().unwrap());
            readings.push(next);
        }
        let mut all = Vec::new();
        for reading in readings {
            let slashed: Vec<u8> =
                reading.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
            for text in [reading, slashed] {
                all.push(resolve(&text, false));
                all.push(resolve(&text, true));
            }
        }
        all
    }

    fn resolve(path: &[u8], cut_parameters: bool) -> Vec<u8> {
        let path = path.split(|byte| matches!(byte, b'?' | b'#' | 0)).next().unwrap();
        let mut kept: Vec<&[u8]> = Vec::new();
        for segment in path.split(|byte| *byte == b'/') {
            let name =
                if cut_parameters { segment.split(|byte| *byte == b';').next().unwrap() } else { segment };
            match name {
                b"" | b"." => {}
                b".." => drop(kept.pop()),
                _ => kept.push(name),
            }
        }
        kept.iter().flat_map(|segment| [b"/".as_slice(), segment].concat()).collect()
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4096))]
        #[test]
        fn no_reading_of_an_open_path_leaves_its_folder(
            tail in "(pub|secret|a|\\.|%2e|%2E|%252e|/|%2f|%2F|%252F|%5c|\\\\|;|;x|%23|%3f|%00|%25|%c0%ae|\\.\\.){0,10}"
        ) {
            let Ok(uri) = format!("/pub/{tail}").parse::<Uri>() else { return Ok(()) };
            let Ok(path) = RequestPath::parse(&uri) else { return Ok(()) };
            if path.ensure_plain_for_open_route().is_err() || !path.decoded().starts_with(b"/pub/") {
                return Ok(());
            }
            for reading in readings(path.path().as_bytes()) {
                proptest::prop_assert!(
                    reading == b"/pub" || reading.starts_with(b"/pub/"),
                    "{} read as {}", path.path(), String::from_utf8_lossy(&reading)
                );
            }
        }

        #[test]
        fn any_target_is_read_without_panic(text in "/[ -~]{0,40}") {
            if let Ok(uri) = text.parse::<Uri>() {
                let _ = RequestPath::parse(&uri).map(|path| path.ensure_plain_for_open_route());
            }
        }
    }
}
