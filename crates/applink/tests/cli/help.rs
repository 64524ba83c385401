use crate::applink::applink;

#[test]
fn top_level() {
    insta::assert_snapshot!(applink("--help").run());
}

#[test]
fn a_topic_lists_its_commands() {
    insta::assert_snapshot!(applink("salesforce").run(), @"
    exit: 0
    --- stdout
    Commands of `salesforce`:
      salesforce:connect                 Connect a Salesforce org to an app
      salesforce:connect:jwt             Connect a Salesforce org to an app without a browser
      salesforce:disconnect              Disconnect a Salesforce org from an app
      salesforce:authorizations:add      Store a Salesforce user's credentials for an app
      salesforce:authorizations:add:jwt  Store a Salesforce user's credentials for an app without a browser
      salesforce:authorizations:remove   Forget a Salesforce user's credentials
      salesforce:publish                 Publish an app's API into a connected Salesforce org
      salesforce:publications            List the Salesforce orgs an app is published to
      salesforce:publications:history    List what was published under a name, or fetch its document
      salesforce:unpublish               Take a published app out of a Salesforce org
    --- stderr
    ");
    assert_eq!(applink("salesforce:authorizations --help").run().code, Some(0));
}

#[test]
fn of_one_command() {
    let first = applink("salesforce:connect:jwt --help").run();
    insta::assert_snapshot!(first, @"
    exit: 0
    --- stdout
    Connect a Salesforce org to an app without a browser

    Usage: applink salesforce:connect:jwt [OPTIONS] --client-id <KEY> --jwt-key-file <FILE> --username <USERNAME> <CONNECTION_NAME>

    Arguments:
      <CONNECTION_NAME>  Name for the connection: 3 to 30 letters, digits and single `_` or `-`, a
                         letter first

    Options:
          --client-id <KEY>      Consumer key of the org's external client app or connected app
          --jwt-key-file <FILE>  File with the RSA private key in PEM format; `-` reads standard input
          --allow-open-key-file  Take a key file that other users of this machine can read
          --username <USERNAME>  Salesforce user to sign in as
      -a, --app <APP>            App to run the command against: its name or uuid
      -r, --remote <REMOTE>      Git remote of the app to use
          --addon <ADDON>        Name or uuid of an AppLink add-on, or the prefix of its config vars
      -l, --login-url <URL>      Salesforce login URL [default: https://login.salesforce.com; sandboxes:
                                 https://test.salesforce.com]
          --json                 Write JSON to standard output
      -h, --help                 Print help
    --- stderr
    ");
    assert_eq!(applink("help salesforce connect jwt").run().stdout, first.stdout);
}

#[test]
fn a_mistyped_command() {
    insta::assert_snapshot!(applink("salesforce conect new_org").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: there is no command salesforce:conect

    hint: did you mean `applink salesforce:connect`?
    ");
}

#[test]
fn a_missing_argument() {
    insta::assert_snapshot!(applink("salesforce:connect").run(), @"
    exit: 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      <CONNECTION_NAME>

    Usage: applink salesforce:connect <CONNECTION_NAME>

    For more information, try '--help'.
    ");
}

#[test]
fn version() {
    let ran = applink("--version").run();
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("applink {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn completions_use_words() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = applink(&format!("completions {shell}")).run();
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(
            ran.stdout.contains("authorizations") && !ran.stdout.contains("salesforce:connect"),
            "{shell}"
        );
    }
}
