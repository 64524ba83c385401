//! `init`: a new app that an org can call, from a template: code, OpenAPI document, Procfile, tests.

mod folder;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use applink_api::names::ClientName;
use serde_json::json;

use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory to make; its name becomes the app's
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Language of the app
    #[arg(long, short, value_enum, default_value_t = Template::Node)]
    template: Template,
    /// With `rust`: a copy of the SDK's source to build with [default: the released one]
    #[arg(long, value_name = "DIR")]
    sdk_path: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Template {
    /// Node.js, with the official SDK
    Node,
    /// Python, with the official SDK
    Python,
    /// Rust, with `applink-sdk`
    Rust,
}

/// A file's place and text; `@…@` stands for what differs between apps.
type Files = &'static [(&'static str, &'static str)];

const COMMON: Files = &[
    ("api-spec.yaml", include_str!("../../templates/common/api-spec.yaml")),
    ("Procfile", include_str!("../../templates/common/Procfile")),
    ("README.md", include_str!("../../templates/common/README.md")),
];
const NODE: Files = &[
    ("app.js", include_str!("../../templates/node/app.js")),
    ("server.js", include_str!("../../templates/node/server.js")),
    ("package.json", include_str!("../../templates/node/package.json")),
    ("test/app.test.js", include_str!("../../templates/node/test/app.test.js")),
    (".gitignore", include_str!("../../templates/node/gitignore")),
];
const PYTHON: Files = &[
    ("app.py", include_str!("../../templates/python/app.py")),
    ("server.py", include_str!("../../templates/python/server.py")),
    ("test_app.py", include_str!("../../templates/python/test_app.py")),
    ("requirements.txt", include_str!("../../templates/python/requirements.txt")),
    (".gitignore", include_str!("../../templates/python/gitignore")),
];
const RUST: Files = &[
    ("Cargo.toml", include_str!("../../templates/rust/Cargo.toml.template")),
    ("src/lib.rs", include_str!("../../templates/rust/src/lib.rs")),
    ("src/main.rs", include_str!("../../templates/rust/src/main.rs")),
    ("tests/app.rs", include_str!("../../templates/rust/tests/app.rs")),
    (".gitignore", include_str!("../../templates/rust/gitignore")),
];

pub(crate) async fn run(args: &Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let directory = settings.directory().join(&args.directory);
    let name = app_name(&directory)?;
    let client = client_name(&name)?;
    ensure_new(&directory, &args.directory)?;
    let files = files(args, &words(args, &name, client.as_str()));
    match poll::interruptible(folder::make(&directory, &files)).await {
        Waited::Done(made) => made.map_err(|unmade| unwritable(&args.directory, unmade))?,
        Waited::Interrupted => {
            return Err(CliError::interrupted(format!(
                "stopped before {} was made; nothing was written",
                args.directory.display()
            )));
        }
    }
    let written: Vec<String> =
        files.iter().map(|(place, _)| args.directory.join(place).display().to_string()).collect();
    if args.output.json {
        printer.json(&json!({"name": name, "client_name": client.as_str(), "files": written}))?;
    } else {
        written.iter().try_for_each(|file| printer.data(file))?;
        printer.note(&format!(
            "\nNext: cd {}, `{}`, then `applink dev -- {}`; README.md has the rest.",
            args.directory.display(),
            args.template.prepare(),
            args.template.start(&name)
        ));
    }
    Ok(ExitStatus::Success)
}

/// Those of the template, with this app's words.
fn files(args: &Args, words: &[(&str, String)]) -> Vec<(&'static str, String)> {
    let told = |text: &str| words.iter().fold(text.to_owned(), |text, (mark, word)| text.replace(mark, word));
    COMMON.iter().chain(args.template.files()).map(|(place, text)| (*place, told(text))).collect()
}

fn unwritable(directory: &Path, unmade: folder::Unmade) -> CliError {
    let what =
        if unmade.place.as_os_str().is_empty() { directory.to_owned() } else { directory.join(unmade.place) };
    CliError::broken(format!("can't write {}; nothing was left behind", what.display())).because(unmade.cause)
}

impl Template {
    fn files(self) -> Files {
        match self {
            Self::Node => NODE,
            Self::Python => PYTHON,
            Self::Rust => RUST,
        }
    }

    fn start(self, name: &str) -> String {
        match self {
            Self::Node => "node server.js".to_owned(),
            Self::Python => "python server.py".to_owned(),
            Self::Rust => format!("target/release/{name}"),
        }
    }

    /// What has to be done before it can run.
    fn prepare(self) -> &'static str {
        match self {
            Self::Node => "npm install",
            Self::Python => "pip install -r requirements.txt",
            Self::Rust => "cargo build --release",
        }
    }

    fn test(self) -> &'static str {
        match self {
            Self::Node => "npm test",
            Self::Python => "python -m unittest",
            Self::Rust => "cargo test",
        }
    }
}

fn words(args: &Args, name: &str, client: &str) -> [(&'static str, String); 6] {
    let sdk = match &args.sdk_path {
        Some(path) => format!("path = {:?}", path.display().to_string()),
        None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
    };
    [
        ("@NAME@", name.to_owned()),
        ("@CLIENT@", client.to_owned()),
        ("@START@", args.template.start(name)),
        ("@PREPARE@", args.template.prepare().to_owned()),
        ("@TEST@", args.template.test().to_owned()),
        ("@SDK@", sdk),
    ]
}

/// Heroku's rule, which suits packages of all three languages.
fn app_name(directory: &Path) -> Result<String, CliError> {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = (3..=30).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(allowed);
    if is_name {
        return Ok(name.to_owned());
    }
    Err(CliError::refused(format!("`{name}` can't be the name of an app"))
        .hint("3 to 30 lower-case letters, digits and `-`, a letter first: my-app"))
}

/// `my-app` is published as `MyApp`.
fn client_name(name: &str) -> Result<ClientName, CliError> {
    let words = name.split('-').filter(|word| !word.is_empty());
    let camel: String = words
        .map(|word| {
            let mut word = word.to_owned();
            if let Some(first) = word.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            word
        })
        .collect();
    camel.parse().map_err(|error: applink_api::names::NameError| CliError::refused(error.to_string()))
}

fn ensure_new(directory: &Path, shown: &Path) -> Result<(), CliError> {
    let taken = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    };
    if taken {
        return Err(CliError::refused(format!("{} is there already; nothing was written", shown.display()))
            .hint("name a directory that doesn't exist yet"));
    }
    Ok(())
}
