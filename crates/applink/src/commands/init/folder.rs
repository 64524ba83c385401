//! A folder of files that is made whole or not at all.
//!
//! 1. Everything is written into a draft: beside the folder, or inside it when it is there already.
//! 2. The draft takes the folder's place in one step; into a folder that is there its entries are moved.
//!
//! Until step 2 nothing is where a person looks, and whatever ends the work, an error or Ctrl-C, takes the draft away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What could not be made, and why.
#[derive(Debug)]
pub(super) struct Unmade {
    /// Relative to the folder; empty for the folder itself.
    pub(super) place: PathBuf,
    pub(super) cause: io::Error,
}

/// Makes `folder`, which is not there or empty, of `files`: places below it, and texts. Dropped before its end, it leaves
/// things as they were.
///
/// # Errors
/// When something can't be written; then, too, things are as they were.
pub(super) async fn make(folder: &Path, files: &[(&str, String)]) -> Result<(), Unmade> {
    // From here on Ctrl-C is caught.
    tokio::task::yield_now().await;
    let unmade = |place: &str, cause| Unmade { place: place.into(), cause };
    let is_there = folder.is_dir();
    let around = if is_there { folder } else { folder.parent().unwrap_or(folder) };
    let _parents = Parents::make(around).map_err(|cause| unmade("", cause))?;
    let draft = tempfile::Builder::new().prefix(".applink-init-").tempdir_in(around);
    let draft = draft.map_err(|cause| unmade("", cause))?;
    for (place, text) in files {
        // Here Ctrl-C can come in between.
        tokio::task::yield_now().await;
        write(&draft.path().join(place), text).map_err(|cause| unmade(place, cause))?;
    }
    let placed = if is_there { move_into(folder, &draft) } else { fs::rename(draft.path(), folder) };
    placed.map_err(|cause| unmade("", cause))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}

/// Moves what is in the draft one level up; back again when something can't be moved.
fn move_into(folder: &Path, draft: &TempDir) -> io::Result<()> {
    let mut moved = Vec::new();
    for entry in fs::read_dir(draft.path())? {
        let entry = entry?;
        let place = folder.join(entry.file_name());
        if let Err(error) = fs::rename(entry.path(), &place) {
            for (from, to) in moved {
                let _ = fs::rename(to, from);
            }
            return Err(error);
        }
        moved.push((entry.path(), place));
    }
    Ok(())
}

/// Folders on the way that were missing: those that stay empty go again.
struct Parents(Vec<PathBuf>);

impl Parents {
    fn make(folder: &Path) -> io::Result<Self> {
        let missing = folder.ancestors().take_while(|parent| !parent.exists()).map(Path::to_owned);
        let parents = Self(missing.collect());
        fs::create_dir_all(folder)?;
        Ok(parents)
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        for folder in &self.0 {
            // A folder with something in it is not removed.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn files() -> Vec<(&'static str, String)> {
        vec![("one", "1".to_owned()), ("two/three", "3".to_owned())]
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Polled `times`, then dropped as by Ctrl-C: whether it had come to its end.
    fn stopped_after(times: usize, folder: &Path) -> bool {
        let files = files();
        let mut making = pin!(make(folder, &files));
        (0..times).any(|_| making.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready())
    }

    #[test]
    fn stopped_anywhere_it_leaves_nothing() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("deep/down/app");
        for times in 0..=files().len() + 1 {
            assert!(!stopped_after(times, &folder), "{times}");
            assert_eq!(names(around.path()), [""; 0], "{times}");
        }
        assert!(stopped_after(files().len() + 2, &folder));
        assert_eq!(names(&around.path().join("deep/down")), ["app"]);
        assert_eq!(
            (names(&folder), names(&folder.join("two"))),
            (vec!["one".into(), "two".into()], vec!["three".into()])
        );
    }

    #[test]
    fn a_folder_that_is_there_stays_and_is_filled_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        for times in 0..=files().len() + 1 {
            assert!(!stopped_after(times, folder.path()), "{times}");
            assert_eq!(names(folder.path()), [""; 0], "{times}");
        }
        assert!(stopped_after(files().len() + 2, folder.path()));
        assert_eq!(names(folder.path()), ["one", "two"]);
    }

    #[test]
    fn what_can_t_be_written_is_named_and_nothing_stays() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("deep/app");
        let mut files = files();
        files.push(("one/below-a-file", String::new()));
        let mut making = pin!(make(&folder, &files));
        let ended = loop {
            if let std::task::Poll::Ready(ended) =
                making.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                break ended;
            }
        };
        assert_eq!(ended.unwrap_err().place, Path::new("one/below-a-file"));
        assert_eq!(names(around.path()), [""; 0]);
    }
}
