//! What every page must be, whatever is on it: for tests that render each template from samples.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A name as hostile as names get: markup, quotes, what closes what it may stand in, scripts from right to left and
/// without spaces, and more characters than fit.
pub const HOSTILE: &str = "\"'`><script>alert(1)</script></title></textarea></style>--><img src=x onerror=alert(2)>\
    &lt;&amp;{{ 7 * 7 }}{% raw %} 東京都 مرحبا Ünï 👩‍🚀 abcdefghijklmnopqrstuvwxyz1234";
/// The part of it that stays as it is.
const UNHARMED: &str = "{{ 7 * 7 }}{% raw %} 東京都 مرحبا Ünï 👩‍🚀 abcdefghijklmnopqrstuvwxyz1234";

/// A template rendered from values of its own type.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The template's path below the folder of templates.
    pub template: &'static str,
    /// What came of it.
    pub text: String,
}

impl Sample {
    /// What a template says.
    pub fn new(template: &'static str, text: impl ToString) -> Self {
        Self { template, text: text.to_string() }
    }
}

/// Holds samples against the templates in a folder, but for those that this build does not have.
///
/// 1. Every template has a sample, or is a part of one that has.
/// 2. Every piece of every template is on some sample's page: no branch is left out.
/// 3. Every page is sound ([`faults`]), and shows [`HOSTILE`] as text on some page of every template that shows any.
///
/// # Panics
/// With everything that is wrong.
pub fn check(folder: &Path, samples: &[Sample], absent: &[&str]) {
    let templates = templates(folder);
    let mut wrong = Vec::new();
    for sample in samples {
        if !templates.contains_key(sample.template) {
            wrong.push(format!("there is no template {}", sample.template));
        }
        if is_html(sample.template) {
            wrong.extend(
                faults(&sample.text).into_iter().map(|fault| format!("{}: {fault}", sample.template)),
            );
            if sample.text.contains("<script>") || sample.text.contains("<img") {
                wrong.push(format!("{}: a name is markup: {}", sample.template, sample.text));
            }
        }
    }
    for (name, source) in templates.iter().filter(|(name, _)| !absent.contains(&name.as_str())) {
        wrong.extend(uncovered(name, source, &templates, samples));
        wrong.extend(unescaped(name, source));
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

fn is_html(name: &str) -> bool {
    name.ends_with(".html")
}

/// Templates by their path; style sheets and scripts beside them are none.
fn templates(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = std::fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display()));
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html" || extension == "md") {
                let name = path.strip_prefix(folder).expect("below").to_string_lossy().replace('\\', "/");
                found.insert(name, std::fs::read_to_string(&path).expect("a template"));
            }
        }
    }
    found
}

/// What no sample has of a template.
fn uncovered(
    name: &str,
    source: &str,
    templates: &BTreeMap<String, String>,
    samples: &[Sample],
) -> Vec<String> {
    let own: Vec<&Sample> = samples.iter().filter(|sample| sample.template == name).collect();
    let quoted = format!("\"{name}\"");
    let is_part = templates.values().any(|other| other.contains(&quoted));
    if own.is_empty() && !is_part {
        return vec![format!("{name} has no sample: render it, empty and full, in its module's samples")];
    }
    // A part is on the pages of those it is a part of.
    let pages: Vec<&Sample> = if own.is_empty() { samples.iter().collect() } else { own };
    let mut missing: Vec<String> = fragments(source)
        .into_iter()
        .filter(|fragment| !pages.iter().any(|page| page.text.contains(fragment)))
        .map(|fragment| format!("{name}: no sample has `{fragment}`"))
        .collect();
    let shows_values = source.contains("{{");
    if is_html(name) && shows_values && !pages.iter().any(|page| page.text.contains(UNHARMED)) {
        missing.push(format!("{name}: no sample has the hostile name"));
    }
    missing
}

/// What a template holds between its tags.
fn fragments(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = source;
    while !rest.is_empty() {
        let begin = ["{{", "{%", "{#"].iter().filter_map(|tag| rest.find(tag)).min().unwrap_or(rest.len());
        let (text, tag) = rest.split_at(begin);
        found.push(text.trim());
        let end = match tag.get(..2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            _ => "#}",
        };
        rest = tag.find(end).map_or("", |at| &tag[at + 2..]);
    }
    found.retain(|fragment| !fragment.is_empty());
    found
}

/// Where a template of HTML says that something needs no escaping.
fn unescaped(name: &str, source: &str) -> Option<String> {
    let tags = source.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let filters = tags.flat_map(|tag| tag.split('|').skip(1));
    let safe = filters.map(str::trim).any(|filter| filter == "safe" || filter.starts_with("escape("));
    (is_html(name) && safe).then(|| format!("{name}: what it shows is not escaped"))
}

/// Elements without an end.
const VOID: [&str; 6] = ["meta", "link", "br", "hr", "input", "img"];
/// Elements whose content is text up to their end.
const TEXT: [&str; 4] = ["script", "style", "title", "textarea"];

/// What is wrong with a page or a part of one: elements that are not closed, scripts and styles in the page, ids that are
/// there twice, and references to none.
pub fn faults(html: &str) -> Vec<String> {
    let mut page = Page { rest: html, ..Page::default() };
    while page.next_tag() {}
    page.end()
}

#[derive(Default)]
struct Page<'a> {
    rest: &'a str,
    open: Vec<&'a str>,
    ids: BTreeSet<&'a str>,
    referred: Vec<&'a str>,
    faults: Vec<String>,
}

impl<'a> Page<'a> {
    fn fault(&mut self, text: impl Into<String>) {
        let near: String = self.rest.chars().take(60).collect();
        self.faults.push(format!("{}, before `{near}`", text.into()));
    }

    fn next_tag(&mut self) -> bool {
        let Some(at) = self.rest.find('<') else { return false };
        self.rest = &self.rest[at + 1..];
        if self.rest.starts_with('!') {
            self.rest = self.rest.split_once('>').map_or("", |(_, rest)| rest);
            return true;
        }
        let is_end = self.rest.starts_with('/');
        self.rest = self.rest.trim_start_matches('/');
        let name = self.word();
        if name.is_empty() {
            self.fault("`<` is no text");
        } else if is_end {
            self.rest = self.rest.split_once('>').map_or("", |(_, rest)| rest);
            self.close(name);
        } else {
            self.element(name);
        }
        true
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:".contains(c)));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn close(&mut self, name: &str) {
        match self.open.pop() {
            Some(open) if open == name => {}
            open => self.fault(format!("</{name}> ends {open:?}")),
        }
    }

    fn element(&mut self, name: &'a str) {
        let mut attributes = BTreeMap::new();
        let is_whole = loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix('>') {
                self.rest = rest;
                break false;
            }
            if let Some(rest) = self.rest.strip_prefix("/>") {
                self.rest = rest;
                break true;
            }
            let key = self.word();
            if key.is_empty() {
                return self.fault(format!("<{name}> is garbled"));
            }
            let value = self.value();
            if attributes.insert(key, value).is_some() {
                self.fault(format!("<{name}> has {key} twice"));
            }
        };
        self.judge(name, &attributes);
        if is_whole || VOID.contains(&name) {
            return;
        }
        self.open.push(name);
        if TEXT.contains(&name) && !self.open.contains(&"svg") {
            let end = format!("</{name}");
            self.rest = self.rest.find(&end).map_or("", |at| &self.rest[at..]);
        }
    }

    fn value(&mut self) -> &'a str {
        let Some(rest) = self.rest.strip_prefix('=') else { return "" };
        let quote = rest.chars().next().filter(|first| ['"', '\''].contains(first));
        let Some(quote) = quote else {
            self.fault("a value without quotes");
            return "";
        };
        let (value, rest) = rest[1..].split_once(quote).unwrap_or((rest, ""));
        self.rest = rest;
        value
    }

    fn judge(&mut self, name: &str, attributes: &BTreeMap<&'a str, &'a str>) {
        for (key, value) in attributes {
            if key.starts_with("on") || *key == "style" || value.trim_start().starts_with("javascript:") {
                self.fault(format!("<{name}> has {key}"));
            }
        }
        if name == "script" && !attributes.get("src").is_some_and(|source| source.starts_with('/')) {
            self.fault("a script in the page");
        }
        if let Some(id) = attributes.get("id")
            && !self.ids.insert(id)
        {
            self.fault(format!("the id {id} is there twice"));
        }
        let keys = ["for", "list", "aria-labelledby", "aria-describedby"];
        let named = keys.iter().filter_map(|key| attributes.get(key)).flat_map(|ids| ids.split_whitespace());
        self.referred.extend(named);
    }

    fn end(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.faults.push(format!("not closed: {:?}", self.open));
        }
        let missing = self.referred.iter().filter(|id| !self.ids.contains(*id));
        self.faults.extend(missing.map(|id| format!("nothing has the id {id}")));
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_found_and_what_is_right_is_not() {
        let right = "<!doctype html><title>a < b</title><p id=\"a\" class='x'>1<br><svg><title id=\"t\">x</title><path d=\"M0\"/></svg>\
            <label for=\"b\">B</label><input id=\"b\"><textarea>&lt;</textarea><script src=\"/x.js\" defer></script></p>";
        assert_eq!(faults(right), [] as [&str; 0]);
        for wrong in [
            "<p>",
            "<p></div>",
            "</p>",
            "<p onclick=\"x\"></p>",
            "<p style=\"x\"></p>",
            "<a href=\"javascript:x\"></a>",
            "<script>1</script>",
            "<script src=\"https://elsewhere\"></script>",
            "<p id=\"a\"></p><p id=\"a\"></p>",
            "<label for=\"a\"></label>",
            "<p class=x></p>",
            "1 < 2",
            "<p \"></p>",
        ] {
            assert!(!faults(wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_hostile_name_as_it_is_breaks_every_place_it_stands_in() {
        for place in
            ["<p>NAME</p>", "<p title=\"NAME\"></p>", "<textarea>NAME</textarea>", "<title>NAME</title>"]
        {
            assert!(!faults(&place.replace("NAME", HOSTILE)).is_empty(), "{place}");
        }
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    }

    fn refuses(files: &[(&str, &str)], samples: &[Sample]) -> bool {
        let folder = folder(files);
        std::panic::catch_unwind(|| check(folder.path(), samples, &[])).is_err()
    }

    #[test]
    fn a_template_without_a_sample_and_a_branch_that_none_takes_are_found() {
        let good = ("a.html", "<p>{% if x %}yes{% else %}no{% endif %}</p>{% include \"b.html\" %}");
        let part = ("b.html", "<b>part</b>");
        let [yes, no] = ["yes", "no"].map(|word| Sample::new("a.html", format!("<p>{word}</p><b>part</b>")));
        let both = [yes.clone(), no];
        check(folder(&[good, part]).path(), &both, &[]);
        assert!(refuses(&[good, part], &[yes]), "one branch is missing");
        assert!(refuses(&[good, part, ("c.html", "<p>new</p>")], &both), "a template has no sample");
        assert!(refuses(&[good, part, ("c.html", "{{ x|safe }}")], &both), "a template does not escape");
        check(folder(&[good, part, ("c.html", "<p>new</p>")]).path(), &both, &["c.html"]);
        let shows = [("d.html", "<p>{{ name }}</p>")];
        assert!(refuses(&shows, &[Sample::new("d.html", "<p>harmless</p>")]), "nothing hostile was tried");
        assert!(refuses(&shows, &[Sample::new("d.html", format!("<p>{HOSTILE}</p>"))]), "it is not escaped");
        let escaped = HOSTILE.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;");
        check(folder(&shows).path(), &[Sample::new("d.html", format!("<p>{escaped}</p>"))], &[]);
    }
}
