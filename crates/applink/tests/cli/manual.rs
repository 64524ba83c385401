//! The reference and the manual pages say what the program does.

use std::path::Path;

use crate::applink::applink;

fn reference() -> String {
    let ran = applink("man --markdown").run();
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.stdout
}

/// `APPLINK_UPDATE_DOCS=1 cargo test -p applink --test cli manual` writes it anew.
#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    let text = reference();
    if std::env::var_os("APPLINK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "docs/reference/cli.md is not what `applink man --markdown` writes: run this test with APPLINK_UPDATE_DOCS=1"
    );
}

#[test]
fn every_command_has_a_section_a_page_and_says_what_each_argument_is_for() {
    let reference = reference();
    let help = applink("--help").run().stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() > 60, "{}", commands.len());
    let written = applink("man --output-dir pages").run();
    for command in commands {
        assert!(reference.contains(&format!("## `applink {command}`\n")), "{command}");
        let file = format!("pages/applink-{}.1", command.replace(':', "-"));
        assert!(written.stdout.lines().any(|line| line == file), "{file}");
    }
    let unexplained: Vec<&str> =
        reference.lines().filter(|line| line.starts_with("| `") && line.ends_with("` |  |")).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
}

#[test]
fn one_page_on_standard_output() {
    let page = applink("man salesforce connect jwt").run();
    assert!(page.stdout.starts_with(".TH \"APPLINK\\-SALESFORCE\\-CONNECT\\-JWT\" \"1\""), "{page}");
    assert!(page.stdout.contains("\\fB\\-\\-jwt\\-key\\-file <FILE>\\fR"), "{page}");
    insta::assert_snapshot!(applink("man nonsense").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: there is no command nonsense

    hint: `applink --help` lists the commands
    ");
}
