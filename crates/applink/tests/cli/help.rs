use crate::applink::applink;

#[test]
fn top_level() {
    insta::assert_snapshot!(applink("--help").run(), @"
    exit: 0
    --- stdout
    AppLink: let apps and Salesforce orgs call each other as the right user

    Usage: applink <COMMAND>

    Commands:
      dev                                Run the whole stack on this machine: org, control plane, mesh
                                         and an app
      salesforce:connect                 Connect a Salesforce org to an app
      salesforce:connect:jwt             Connect a Salesforce org to an app without a browser
      salesforce:disconnect              Disconnect a Salesforce org from an app
      salesforce:authorizations:add      Store a Salesforce user's credentials for an app
      salesforce:authorizations:add:jwt  Store a Salesforce user's credentials for an app without a
                                         browser
      salesforce:authorizations:remove   Forget a Salesforce user's credentials
      salesforce:publish                 Publish an app's API into a connected Salesforce org [alias:
                                         publish]
      salesforce:publications            List the Salesforce orgs an app is published to [alias:
                                         publications]
      salesforce:publications:history    List what was published under a name, or fetch its document
                                         [alias: publications:history]
      salesforce:unpublish               Take a published app out of a Salesforce org [alias: unpublish]
      spec:check                         Check an OpenAPI document against the rules of External
                                         Services
      apex-stubs                         Write the Apex classes an org will generate, for editors
      applink:connections                List the connected orgs [alias: connections]
      applink:connections:info           Show one connected org [alias: connections:info]
      applink:authorizations             List the stored users [alias: authorizations]
      applink:authorizations:info        Show one stored user [alias: authorizations:info]
      applink:webhooks                   List who is told what happens [alias: webhooks]
      applink:webhooks:create            Have events sent to a URL, signed [alias: webhooks:create]
      applink:webhooks:show              Show one webhook [alias: webhooks:show]
      applink:webhooks:update            Change where events go, or which, or whether [alias:
                                         webhooks:update]
      applink:webhooks:remove            Remove a webhook [alias: webhooks:remove]
      applink:webhooks:rotate-secret     Give a webhook a new secret [alias: webhooks:rotate-secret]
      applink:webhooks:test              Send a webhook a test [alias: webhooks:test]
      applink:webhooks:deliveries        List what was delivered to a webhook, and how often it was
                                         tried [alias: webhooks:deliveries]
      invoke                             Have a local org call a published app as one of its users
      org                                Run a local Salesforce org
      org:permsets:assign                Assign a permission set to a user of a local org
      serve                              Run the control plane
      mesh                               Run the service mesh in front of an app
      admin:apps                         List the apps of a control plane
      admin:apps:create                  Make an app known to a control plane
      admin:apps:set-url                 Change where orgs call an app
      admin:addons                       List the add-ons of a control plane
      admin:addons:create                Provision an add-on and attach it to an app
      admin:addons:attach                Attach an add-on to one more app
      admin:addons:detach                Detach an add-on from an app
      admin:addons:destroy               Destroy an add-on: revoke what it has at orgs, and erase it
      admin:keys                         List the API keys of a control plane
      admin:keys:create                  Make an API key
      admin:keys:revoke                  Make an API key void
      admin:audit:erase-name             Erase a person's name from the audit log
      admin:vault:status                 Show which keys seal what, and how far a rotation is
      admin:vault:rotate-master          Change over to the new master key while serving
      admin:vault:rotate-data            Replace every data key and seal every secret anew
      admin:manifest                     Write the manifest that makes a control plane a Heroku add-on
      admin:removals                     List the add-ons that were destroyed, and what is left in orgs
      audit:verify                       Check that the audit ledger is as it was written
      completions                        Write the completions of a shell to standard output
      help                               Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    A space works as well as `:` in a command's name, and the topic `applink` may be left out.

    Exit status: 0 done, 1 the answer is no, 2 it broke or could not be tried, 130 stopped with Ctrl-C.
    --- stderr
    ");
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
