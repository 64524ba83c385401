//! `--remote`: the app behind a git remote, read from `.git/config`.

use std::fs;
use std::path::Path;

use crate::error::CliError;

/// The app's name in the URL of remote `name` (`https://git.heroku.com/<app>.git`, `git@heroku.com:<app>.git`).
///
/// # Errors
/// When there is no repository, no such remote, or its URL names no app.
pub(super) fn app_of(name: &str, directory: &Path) -> Result<String, CliError> {
    let config = config(directory).ok_or_else(|| {
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

/// The app nobody needs to name: the remote of `git config heroku.remote`, or the only app of all remotes.
///
/// # Errors
/// When the remotes lead to several apps.
pub(super) fn only_app(directory: &Path) -> Result<Option<String>, CliError> {
    let Some(config) = config(directory) else { return Ok(None) };
    if let Some(app) =
        value_in(&config, "[heroku]", "remote").and_then(|name| remote_url(&config, name)).and_then(app_name)
    {
        return Ok(Some(app.to_owned()));
    }
    let mut apps: Vec<&str> = urls(&config).filter_map(app_name).collect();
    apps.sort_unstable();
    apps.dedup();
    match apps.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some((*only).to_owned())),
        several => {
            Err(CliError::refused(format!("the git remotes lead to several apps: {}", several.join(", ")))
                .hint("say which with --app or --remote"))
        }
    }
}

/// The text of the nearest repository's configuration. In a linked work tree or a submodule `.git` is a file that
/// names the folder.
fn config(directory: &Path) -> Option<String> {
    directory.ancestors().find_map(|directory| {
        let git = directory.join(".git");
        if let Ok(text) = fs::read_to_string(git.join("config")) {
            return Some(text);
        }
        let link = fs::read_to_string(git).ok()?;
        let folder = directory.join(link.strip_prefix("gitdir:")?.trim());
        let common = fs::read_to_string(folder.join("commondir")).ok();
        let folder = common.map_or(folder.clone(), |common| folder.join(common.trim()));
        fs::read_to_string(folder.join("config")).ok()
    })
}

fn urls(config: &str) -> impl Iterator<Item = &str> {
    let names = config.lines().filter_map(|line| line.trim().strip_prefix("[remote \"")?.strip_suffix("\"]"));
    names.filter_map(|name| remote_url(config, name))
}

fn remote_url<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    value_in(config, &format!("[remote \"{name}\"]"), "url")
}

fn value_in<'a>(config: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let lines = config.lines().map(str::trim).skip_while(|line| *line != section).skip(1);
    lines.take_while(|line| !line.starts_with('[')).find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
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
    fn an_app_need_not_be_named_when_the_remotes_lead_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let git = folder.path().join("main/.git");
        fs::create_dir_all(git.join("worktrees/linked")).unwrap();
        let remote = |name: &str, app: &str| {
            format!("[remote \"{name}\"]\n\turl = https://git.heroku.com/{app}.git\n")
        };
        let of = |directory: &str| only_app(&folder.path().join(directory));
        assert_eq!(of("main").unwrap(), None);
        fs::write(git.join("config"), remote("heroku", "one") + &remote("again", "one")).unwrap();
        assert_eq!(of("main/deep").unwrap().as_deref(), Some("one"));
        fs::create_dir(folder.path().join("linked")).unwrap();
        fs::write(folder.path().join("linked/.git"), "gitdir: ../main/.git/worktrees/linked\n").unwrap();
        fs::write(git.join("worktrees/linked/commondir"), "../..\n").unwrap();
        assert_eq!(of("linked").unwrap().as_deref(), Some("one"));
        let two = remote("heroku", "one") + &remote("staging", "two");
        fs::write(git.join("config"), &two).unwrap();
        assert!(of("main").unwrap_err().to_string().contains("one, two"));
        fs::write(git.join("config"), format!("{two}[heroku]\n\tremote = staging\n")).unwrap();
        assert_eq!(of("main").unwrap().as_deref(), Some("two"));
    }

    #[test]
    fn finds_the_app_of_a_remote() {
        let config = "[core]\n\turl = no\n[remote \"origin\"]\n\turl = git@github.com:a/b.git\n[remote \"heroku\"]\n\turl = https://git.heroku.com/my-app.git\n\tfetch = x\n";
        assert_eq!(remote_url(config, "heroku").and_then(app_name), Some("my-app"));
        assert_eq!(remote_url(config, "origin").and_then(app_name), None);
        assert_eq!(remote_url(config, "staging"), None);
        assert_eq!(urls(config).filter_map(app_name).collect::<Vec<_>>(), ["my-app"]);
        assert_eq!(app_name("git@heroku.com:my-app.git"), Some("my-app"));
        assert_eq!(app_name("https://git.notheroku.com/my-app.git"), None);
    }
}
