//! The line of a request, written by hand: every request has one, and a general formatter takes microseconds for it.
//!
//! The program's own log writes it into a buffer of the thread, in the form the rest of that log has. Who embeds the mesh
//! gets an event of `tracing` like all others.

use std::cell::RefCell;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use applink_api::time::Timestamp;

/// Takes lines of the access log, each whole and with its newline.
pub type AccessSink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Where the lines of the access log go.
#[derive(Clone, Default)]
pub enum AccessLog {
    /// To whoever subscribed to `tracing`.
    #[default]
    Events,
    /// As text, to this function.
    Text(AccessSink),
    /// As JSON, to this function.
    Json(AccessSink),
    /// Nowhere.
    Off,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Events => "Events",
            Self::Text(_) => "Text",
            Self::Json(_) => "Json",
            Self::Off => "Off",
        })
    }
}

/// What a line says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'l> {
    pub(crate) at: Timestamp,
    pub(crate) method: &'l str,
    pub(crate) path: &'l str,
    pub(crate) status: u16,
    pub(crate) verdict: &'static str,
    pub(crate) request_id: &'l str,
    pub(crate) org: &'l str,
    pub(crate) user: &'l str,
    pub(crate) mesh_us: u64,
    pub(crate) app_us: u64,
}

impl AccessLog {
    pub(crate) fn write(&self, line: &Line<'_>) {
        match self {
            Self::Events => event(line),
            Self::Text(to) => written(line, text, &**to),
            Self::Json(to) => written(line, json, &**to),
            Self::Off => {}
        }
    }
}

fn event(line: &Line<'_>) {
    tracing::info!(
        target: "applink_mesh::access",
        method = line.method,
        path = line.path,
        status = line.status,
        verdict = line.verdict,
        request_id = line.request_id,
        org = line.org,
        user = line.user,
        mesh_us = line.mesh_us,
        app_us = line.app_us,
        "request"
    );
}

/// What a thread writes its lines with.
#[derive(Default)]
struct Desk {
    line: Vec<u8>,
    /// The last second that was written, because the next line is mostly of the same.
    second: i64,
    /// `2025-05-30T18:55:42`.
    text: String,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

fn written(line: &Line<'_>, form: fn(&mut Desk, &Line<'_>), to: &dyn Fn(&[u8])) {
    DESK.with_borrow_mut(|desk| {
        desk.line.clear();
        form(desk, line);
        to(&desk.line);
    });
}

impl Desk {
    fn time(&mut self, at: Timestamp) {
        let second = at.as_seconds();
        if self.second != second || self.text.is_empty() {
            self.text = at.to_string();
            self.text.truncate("2025-05-30T18:55:42".len());
            self.second = second;
        }
        self.line.extend_from_slice(self.text.as_bytes());
        let _ = write!(self.line, ".{:06}Z", at.as_micros().rem_euclid(1_000_000));
    }

    /// In quotes; what can't stand between them as it is, as `escaped` has it.
    fn quoted(&mut self, text: &str, escaped: impl FnOnce(&mut Vec<u8>, &str)) {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            self.line.push(b'"');
            self.line.extend_from_slice(text.as_bytes());
            self.line.push(b'"');
        } else {
            escaped(&mut self.line, text);
        }
    }
}

fn texts<'l>(line: &Line<'l>) -> [(&'static str, &'l str); 2] {
    [("org", line.org), ("user", line.user)]
}

fn text(desk: &mut Desk, line: &Line<'_>) {
    let debug = |into: &mut Vec<u8>, text: &str| drop(write!(into, "{text:?}"));
    desk.time(line.at);
    desk.line.extend_from_slice(b"  INFO applink_mesh::access: request method=");
    desk.quoted(line.method, debug);
    desk.line.extend_from_slice(b" path=");
    desk.quoted(line.path, debug);
    let _ = write!(desk.line, " status={} verdict=", line.status);
    desk.quoted(line.verdict, debug);
    desk.line.extend_from_slice(b" request_id=");
    desk.quoted(line.request_id, debug);
    for (name, text) in texts(line) {
        let _ = write!(desk.line, " {name}=");
        desk.quoted(text, debug);
    }
    let _ = writeln!(desk.line, " mesh_us={} app_us={}", line.mesh_us, line.app_us);
}

fn json(desk: &mut Desk, line: &Line<'_>) {
    let escaped = |into: &mut Vec<u8>, text: &str| drop(serde_json::to_writer(into, text));
    desk.line.extend_from_slice(b"{\"timestamp\":\"");
    desk.time(line.at);
    desk.line.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request\",\"method\":");
    desk.quoted(line.method, escaped);
    desk.line.extend_from_slice(b",\"path\":");
    desk.quoted(line.path, escaped);
    let _ = write!(desk.line, ",\"status\":{},\"verdict\":", line.status);
    desk.quoted(line.verdict, escaped);
    desk.line.extend_from_slice(b",\"request_id\":");
    desk.quoted(line.request_id, escaped);
    for (name, text) in texts(line) {
        let _ = write!(desk.line, ",\"{name}\":");
        desk.quoted(text, escaped);
    }
    let _ = write!(desk.line, ",\"mesh_us\":{},\"app_us\":{}", line.mesh_us, line.app_us);
    desk.line.extend_from_slice(b",\"target\":\"applink_mesh::access\"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const LINE: Line<'static> = Line {
        at: Timestamp::from_micros(1_748_631_342_000_808),
        method: "GET",
        path: "/a\"b",
        status: 200,
        verdict: "verified",
        request_id: "r-1",
        org: "00D",
        user: "",
        mesh_us: 7,
        app_us: 11,
    };

    fn written(log: impl FnOnce(AccessSink) -> AccessLog, lines: &[Line<'_>]) -> String {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&kept);
        let log = log(Arc::new(move |line: &[u8]| to.lock().unwrap().extend_from_slice(line)));
        lines.iter().for_each(|line| log.write(line));
        String::from_utf8(kept.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_of_text_looks_like_the_rest_of_the_log() {
        let later = Line { at: LINE.at.plus(std::time::Duration::from_millis(1_500)), path: "/é", ..LINE };
        assert_eq!(
            written(AccessLog::Text, &[LINE, later]),
            "2025-05-30T18:55:42.000808Z  INFO applink_mesh::access: request method=\"GET\" path=\"/a\\\"b\" \
             status=200 verdict=\"verified\" request_id=\"r-1\" org=\"00D\" user=\"\" mesh_us=7 app_us=11\n\
             2025-05-30T18:55:43.500808Z  INFO applink_mesh::access: request method=\"GET\" path=\"/é\" \
             status=200 verdict=\"verified\" request_id=\"r-1\" org=\"00D\" user=\"\" mesh_us=7 app_us=11\n"
        );
    }

    #[test]
    fn a_line_of_json_is_json_whatever_the_path() {
        let odd = Line { path: "/\\\"\u{7f}é", ..LINE };
        let line: serde_json::Value = serde_json::from_str(&written(AccessLog::Json, &[odd])).unwrap();
        assert_eq!(
            line,
            serde_json::json!({"timestamp": "2025-05-30T18:55:42.000808Z", "level": "INFO", "message": "request",
                "method": "GET", "path": "/\\\"\u{7f}é", "status": 200, "verdict": "verified", "request_id": "r-1",
                "org": "00D", "user": "", "mesh_us": 7, "app_us": 11, "target": "applink_mesh::access"})
        );
    }
}
