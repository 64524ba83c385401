//! The commands described: as Markdown for `docs/reference/cli.md`, as roff for `man`. Both are made from the command
//! tree, so they say what the program does.

use std::fmt::Write as _;

use clap::{Arg, Command};

const ABOUT_REFERENCE: &str = "\
# Commands

Written by `applink man --markdown` from the program itself; a test keeps it up to date.

A space works as well as `:` in a command's name, the topic `applink` may be left out, and `--help` explains each
command. Where the official AppLink plugin of the Heroku CLI has a command, ours has its name, its flags, its titles
and its columns.

## Which add-on a command is about

1. **The environment**: `HEROKU_APPLINK_API_URL` with `HEROKU_APPLINK_TOKEN` (reads) and `APPLINK_API_KEY` (changes),
   unless `--app`, `--remote` or `HEROKU_APP` names another app than `HEROKU_APP_NAME`.
2. **The nearest `.applink/dev.env`**, which `applink dev` writes.
3. **What `applink login` remembers**: one add-on; its key is in the keyring of the operating system, or where there is none
   in a file that only you can read (`~/.config/applink/login.env`).
4. **Heroku**, for the app of `--app`, `--remote`, `HEROKU_APP` or the only git remote that leads to Heroku, with
   `HEROKU_API_KEY` or the token that `heroku login` left in `~/.netrc`. `HEROKU_HOST` chooses another Platform API. A Heroku CLI
   that finds a keyring keeps its token there instead; in which form is not documented, so it is not read:
   `export HEROKU_API_KEY=$(heroku auth:token)`, or log in with `HEROKU_NETRC_WRITE=true heroku login`.

`--addon` chooses among several. Address and credentials always come from the same one of these.

## Output and exit status

Data goes to standard output, everything else to standard error. With `--json` the data is one JSON value, with the
fields of the [API](openapi.json) or [of the program itself](#json-of-the-program-itself); with `logs --tail` and for callbacks it is one
on each line. Fields may be added, and none is taken away or changes its meaning within a major version. Every command has `--json` but those that
write something else anyway (`completions`, `man`, `admin:manifest`) and those that another program speaks for (`run`,
`mesh`). Spinners and colour are for terminals; `NO_COLOR` turns colour off. Nothing is ever asked without a terminal.

| status | meaning |
|---|---|
| 0 | done |
| 1 | the answer is no: refused, not found, not confirmed, or something is wrong with what was looked at |
| 2 | it broke, or could not be tried: wrong arguments, no network, no credentials |
| 130 | stopped with Ctrl-C before it was done; the message says what state things are in. What runs until it is stopped (`dev`, `serve`, `logs --tail`) ends with 0 |

`applink run -- COMMAND` and `applink mesh -- COMMAND` end with the status of the command.

## JSON of the program itself

What no API answers has these fields, all of them always:

| command | fields |
|---|---|
| `spec:check` | `file`, `publishable`, `errors`, `warnings`, `notes` (three numbers), `findings` (each with `code`, `severity`, `path`, `line`, `column`, `message`, `fix`, `help`) |
| `publish --dry-run` | `report` (as of `spec:check`), `org_release`, `components` (each with `type`, `name`, `file`), `preview` (null without `--preview`) |
| `publish --diff` | `client_name`, `against` (number of the deploy that is live, or null), `breaking`, `changes` |
| `apex-stubs` | a list of files |
| `authorizations:test` | `developer_name`, `works`, `username`, `user_id`, `org_id`, `instance_url`, `api_version`, `limits` (each with `name`, `max`, `remaining`) |
| `authorizations:remove` | `developer_name`, `removed` |
| `unpublish` | `client_name`, `removed` |
| `tokens:revoke`, `admin:keys:revoke` | `id`, `revoked` |
| `doctor` | `ok`, `faults` (each with `id`, `about`, `cause`, `fix`), `checked`, `skipped` (each with `part`, `why`) |
| `init` | `name`, `client_name`, `files` |
| `open` | `addon`, `url` |
| `login` | `host`, `key_in_keyring` |
| `logout` | `forgotten` |
| `invoke --authorization` | `status`, `request_id`, `body` |
| `audit:verify` | `rows`, `segments`, `anchors` (three numbers), `findings` |
| `serve` | `url`, `address` |

## What differs from the official plugin

Titles, columns, fields and final status words are equal; a test holds them against what plugin 2.0.3 prints. On purpose different are:

* A connection or authorization that ends `Failed` or `Disconnected` is status 1, there 0.
* `salesforce:publications` has one more column, the last: the name in the org.
* Errors start with `error:`, end with a `hint:` and go to standard error, as does the sentence about failed connections, which the
  plugin prints among the data.
* Without a terminal nothing waits for a key: a destructive command needs `--confirm`, and a log-in's address is printed.
* A key file that others can read is refused unless `--allow-open-key-file` is given, and `-` reads standard input.
* `HEROKU_HOST` that is neither Heroku's nor this machine is refused; the official CLI goes to api.heroku.com instead.
";

/// The reference of all commands.
pub(crate) fn reference(cli: &Command) -> String {
    let mut text = format!("{ABOUT_REFERENCE}\n## All of them\n\n| command | |\n|---|---|\n");
    for command in shown(cli) {
        let name = command.get_name();
        let anchor: String = name.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect();
        let _ = writeln!(text, "| [`{name}`](#applink-{anchor}) | {} |", about(command));
    }
    for command in shown(cli) {
        text.push('\n');
        section(command, &mut text);
    }
    text
}

fn section(command: &Command, text: &mut String) {
    let _ = write!(
        text,
        "## `applink {}`\n\n{}.\n\n```text\n{}\n```\n",
        command.get_name(),
        about(command),
        usage(command)
    );
    let other: Vec<String> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !other.is_empty() {
        let _ = write!(text, "\nAlso: {}\n", other.join(", "));
    }
    let arguments: Vec<&Arg> = arguments(command).collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | |\n|---|---|\n");
    }
    for argument in arguments {
        let _ = writeln!(text, "| `{}` | {} |", spelled(argument), help(argument).replace('|', "\\|"));
    }
}

/// The pages of all commands, by file name.
pub(crate) fn pages(cli: &Command) -> Vec<(String, String)> {
    let program = ("applink.1".to_owned(), page(cli));
    let commands = shown(cli)
        .map(|command| (format!("applink-{}.1", command.get_name().replace(':', "-")), page(command)));
    std::iter::once(program).chain(commands).collect()
}

/// One manual page.
pub(crate) fn page(command: &Command) -> String {
    let is_program = command.get_subcommands().next().is_some();
    let name = if is_program { "applink".to_owned() } else { format!("applink {}", command.get_name()) };
    let title = name.replace([' ', ':'], "-");
    let mut text = format!(
        ".TH \"{}\" \"1\" \"\" \"applink {}\" \"AppLink\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n{}\n",
        roff(&title.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        roff(&title),
        roff(&about(command)),
        roff(&usage(command))
    );
    let options: Vec<&Arg> = arguments(command).collect();
    if !options.is_empty() {
        text.push_str(".SH OPTIONS\n");
    }
    for argument in options {
        let _ = write!(text, ".TP\n\\fB{}\\fR\n{}\n", roff(&spelled(argument)), roff(&help(argument)));
    }
    if is_program {
        text.push_str(".SH COMMANDS\n");
        for command in shown(command) {
            let _ = write!(text, ".TP\n\\fB{}\\fR\n{}\n", roff(command.get_name()), roff(&about(command)));
        }
    }
    text.push_str(
        ".SH EXIT STATUS\n0 done, 1 the answer is no, 2 it broke or could not be tried, 130 stopped with Ctrl\\-C.\n",
    );
    text
}

fn shown(cli: &Command) -> impl Iterator<Item = &Command> {
    cli.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// What can be written after the name, positional first.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let visible = || command.get_arguments().filter(|argument| !argument.is_hide_set());
    let named = visible().filter(|argument| !argument.is_positional());
    let named = named.filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"));
    visible().filter(|argument| argument.is_positional()).chain(named)
}

fn about(command: &Command) -> String {
    command.get_about().map(|about| about.to_string().trim_end_matches('.').to_owned()).unwrap_or_default()
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage:").trim().to_owned()
}

/// `-a, --app <APP>`
fn spelled(argument: &Arg) -> String {
    if argument.is_positional() {
        return argument.to_string();
    }
    let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    format!("{short}{argument}")
}

/// What it is for, with its default and what it may be.
fn help(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let takes_value = argument.get_action().takes_values();
    if takes_value && !defaults.is_empty() && !argument.is_hide_default_value_set() {
        let _ = write!(text, " [default: {}]", defaults.join(" "));
    }
    let possible: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    if takes_value && !possible.is_empty() {
        let _ = write!(text, " [one of: {}]", possible.join(", "));
    }
    text
}

/// Text of a manual page: a hyphen is a minus, and no line starts a request.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = escaped
        .lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_never_becomes_a_request() {
        assert_eq!(roff(".TH x\n'y\na-b\\c"), "\\&.TH x\n\\&'y\na\\-b\\ec");
    }
}
