//! `--remote`: the app behind a git remote, read from `.git/config`.

use std::fs;
use std::path::Path;

use crate::error::CliError;

/// The app's name in the URL of remote `name` (`https://git.heroku.com/<app>.git`, `git@heroku.com:<app>.git`).
///
/// # Errors
/// When there is no repository, no such remote, or its URL names no app.
pub(super) fn app_of(name: &str, directory: &Path) -> Result<String, CliError> {
    let config = directory
        .ancestors()
        .find_map(|directory| fs::read_to_string(directory.join(".git/config")).ok())
        .ok_or_else(|| {
            CliError::refused("there is no git repository here to look for a remote in")
                .hint("name the app with --app")
        })?;
    let url = remote_url(&config, name).ok_or_else(|| {
        CliError::refused(format!("there is no git remote {name}")).hint("`git remote -v` lists them")
    })?;
    app_name(url).map(str::to_owned).ok_or_else(|| {
        CliError::refused(format!("git remote {name} does not lead to an app"))
            .hint("name the app with --app")
    })
}

fn remote_url<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    let section = format!("[remote \"{name}\"]");
    let lines = config.lines().map(str::trim).skip_while(|line| *line != section).skip(1);
    lines.take_while(|line| !line.starts_with('[')).find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "url").then(|| value.trim())
    })
}

/// Last part of the path, without `.git`; the host must be one of Heroku's.
fn app_name(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("ssh://")).unwrap_or(url);
    let (host, path) = rest.split_once(['/', ':'])?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let is_heroku = host == "heroku.com" || host.ends_with(".heroku.com");
    let app = path.strip_suffix(".git").unwrap_or(path);
    (is_heroku && !app.is_empty() && !app.contains('/')).then_some(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_app_of_a_remote() {
        let config = "[core]\n\turl = no\n[remote \"origin\"]\n\turl = git@github.com:a/b.git\n[remote \"heroku\"]\n\turl = https://git.heroku.com/my-app.git\n\tfetch = x\n";
        assert_eq!(remote_url(config, "heroku").and_then(app_name), Some("my-app"));
        assert_eq!(remote_url(config, "origin").and_then(app_name), None);
        assert_eq!(remote_url(config, "staging"), None);
        assert_eq!(app_name("git@heroku.com:my-app.git"), Some("my-app"));
        assert_eq!(app_name("https://git.notheroku.com/my-app.git"), None);
    }
}
