//! Searches files for secrets that must not be in them.

use std::fs;
use std::path::{Path, PathBuf};

/// Every file below `folder`, folders of folders included.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Fails when one of `secrets` stands in one of `files`, naming the secret's label and the file, not the secret.
///
/// # Panics
/// When a secret is found, when a file can't be read, or when there was nothing to search.
pub fn assert_absent(files: &[PathBuf], secrets: &[(&str, &str)]) {
    assert!(!files.is_empty() && !secrets.is_empty(), "there is nothing to search, so nothing is shown");
    let mut found = Vec::new();
    for file in files {
        let content = fs::read(file).unwrap_or_else(|error| panic!("reading {}: {error}", file.display()));
        for (label, secret) in secrets {
            assert!(secret.len() >= 7, "`{label}` is too short to search for");
            if contains(&content, secret.as_bytes()) {
                found.push(format!("{label} is in {}", file.display()));
            }
        }
    }
    assert!(found.is_empty(), "secrets where none may be:\n{}", found.join("\n"));
}

/// Whether `needle` stands in `haystack`.
pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("deep")).expect("a folder");
        fs::write(folder.path().join("deep/log"), "before canary-123 after").expect("a file");
        let files = files_below(folder.path());
        assert_absent(&files, &[("another", "canary-124")]);
        let found = std::panic::catch_unwind(|| assert_absent(&files, &[("the canary", "canary-123")]));
        let message = *found.expect_err("it must be found").downcast::<String>().expect("a message");
        assert!(message.contains("the canary is in") && !message.contains("canary-123"));
    }
}
