//! The real binary against a scripted service: exit status, standard output and standard error of every command.

#![expect(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

// The Rust template of `init`, which calls its library `app`: compiled here, its own tests run among these.
extern crate self as app;
#[path = "../templates/rust/src/lib.rs"]
#[expect(clippy::print_stderr, reason = "an app's log")]
mod template;
#[path = "../templates/rust/src/main.rs"]
#[expect(dead_code, clippy::disallowed_methods, clippy::print_stdout, reason = "the program of the template")]
mod template_main;
#[path = "../templates/rust/tests/app.rs"]
mod template_tests;
pub use template::app;

#[path = "cli/applink.rs"]
mod applink;
#[path = "cli/fake.rs"]
mod fake;

#[path = "cli/admin.rs"]
mod admin;
#[path = "cli/again.rs"]
mod again;
#[path = "cli/authorizations.rs"]
mod authorizations;
#[path = "cli/connect.rs"]
mod connect;
#[path = "cli/connections.rs"]
mod connections;
#[path = "cli/datacloud.rs"]
mod datacloud;
#[path = "cli/errors.rs"]
mod errors;
#[path = "cli/every.rs"]
mod every;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/heroku.rs"]
mod heroku;
#[path = "cli/init.rs"]
mod init;
#[path = "cli/login.rs"]
mod login;
#[path = "cli/logs.rs"]
mod logs;
#[path = "cli/look.rs"]
mod look;
#[path = "cli/manual.rs"]
mod manual;
#[path = "cli/official.rs"]
mod official;
#[path = "cli/orgs.rs"]
mod orgs;
#[path = "cli/output.rs"]
mod output;
#[path = "cli/publish.rs"]
mod publish;
#[path = "cli/serve.rs"]
mod serve;
#[path = "cli/settings.rs"]
mod settings;
#[path = "cli/spec.rs"]
mod spec;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/tmux.rs"]
mod tmux;
#[path = "cli/tokens.rs"]
mod tokens;
#[path = "cli/webhooks.rs"]
mod webhooks;
