//! `~/.netrc`, where `heroku login` keeps its token.

use secrecy::SecretString;

/// The password of `machine`, if there is one.
pub(super) fn password(text: &str, machine: &str) -> Option<SecretString> {
    let words = words(text);
    let mut words = words.iter().map(String::as_str);
    let mut ours = false;
    while let Some(word) = words.next() {
        match word {
            "machine" => ours = words.next() == Some(machine),
            "default" => ours = false,
            "password" => {
                let value = words.next();
                if ours {
                    return value.filter(|value| !value.is_empty()).map(|value| value.to_owned().into());
                }
            }
            "login" | "account" => {
                words.next();
            }
            _ => {}
        }
    }
    None
}

/// The words, without comments and without macros, which go on to the next empty line.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        for word in line.split_whitespace() {
            if word == "macdef" {
                in_macro = true;
                break;
            }
            if word.starts_with('#') {
                break;
            }
            words.push(word.trim_matches('"').to_owned());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn found(text: &str, machine: &str) -> Option<String> {
        password(text, machine).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn finds_the_machine_and_no_other() {
        let text = "# mine\nmachine git.heroku.com\n  login me\n  password one\nmachine api.heroku.com login me password \"two\"\n\
                    macdef init\npassword three\n\nmachine 127.0.0.1:7700 account x password four\ndefault login a password five\n";
        for (machine, expected) in [
            ("api.heroku.com", Some("two")),
            ("git.heroku.com", Some("one")),
            ("127.0.0.1:7700", Some("four")),
            ("heroku.com", None),
        ] {
            assert_eq!(found(text, machine).as_deref(), expected, "{machine}");
        }
        assert_eq!(found("machine api.heroku.com login me", "api.heroku.com"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[ -~\n]{0,120}") {
            let _ = password(&text, "api.heroku.com");
        }
    }
}
