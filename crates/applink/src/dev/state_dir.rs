//! `.applink/`: what `applink dev` keeps between starts. The folder is 0700, every file 0600, and it ignores
//! itself in git, because it holds the stack's keys and tokens.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use applink_api::ids::{AddonId, AppUuid};
use applink_api::secret::wire;

use super::tls::identity::Identity;

/// The layout of `state.json` this build writes. A higher number comes from a newer build.
const SCHEMA: u32 = 1;

/// What is kept between starts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The layout of this file.
    pub(crate) schema: u32,
    /// The control plane's master key, base64.
    #[serde(with = "wire")]
    pub(crate) master_key: SecretString,
    /// Opens `/_sim` of the orgs.
    #[serde(with = "wire")]
    pub(crate) sim_key: SecretString,
    /// Opens `/operator` of the control plane.
    #[serde(with = "wire")]
    pub(crate) operator_key: SecretString,
    /// The add-on of this stack, once it is provisioned.
    pub(crate) addon: Option<AddonState>,
    /// The developer at the Platform API stand-in, once there is one.
    #[serde(default)]
    pub(crate) platform: Option<PlatformState>,
    /// The certificate of `--tls`, once it was asked for.
    #[serde(default)]
    pub(crate) tls: Option<Identity>,
    /// The ports of the last start, taken again when a port is asked to be any free one.
    #[serde(default)]
    pub(crate) ports: Ports,
}

/// The provisioned add-on and its app.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AddonState {
    pub(crate) addon_id: AddonId,
    pub(crate) addon_name: String,
    pub(crate) app_id: AppUuid,
    pub(crate) app_name: String,
    #[serde(with = "wire")]
    pub(crate) token: SecretString,
    #[serde(with = "wire")]
    pub(crate) api_key: SecretString,
}

/// The developer at the Platform API stand-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PlatformState {
    /// Their platform API key.
    #[serde(with = "wire")]
    pub(crate) key: SecretString,
}

/// Where each part listens on loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ports {
    pub(crate) control_plane: u16,
    pub(crate) org: u16,
    pub(crate) sandbox: u16,
    pub(crate) mesh: u16,
    pub(crate) app: u16,
    pub(crate) tls: u16,
    pub(crate) proxy: u16,
}

/// The state folder can't be used.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    #[error("{path} can't be {action}")]
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    #[error("{path} is used by another `applink dev`")]
    InUse { path: PathBuf },
    #[error("{path} holds other files, so it isn't a state folder of `applink dev`")]
    NotOurs { path: PathBuf },
    #[error("{path} was written by a newer AppLink (schema {found}, this one knows {SCHEMA})")]
    Newer { path: PathBuf, found: u32 },
    #[error("{path} can't be read as the state of `applink dev` (line {}, column {})", .source.line(), .source.column())]
    Malformed { path: PathBuf, source: serde_json::Error },
}

impl StateError {
    /// What to do next.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => {
                "check the folder's owner and permissions, or name another one with --state-dir"
            }
            Self::Newer { .. } => {
                "use the newer AppLink, or start over with --fresh (connections, authorizations and publications of this folder are discarded)"
            }
            Self::InUse { .. } => "stop it, or name another folder with --state-dir",
            Self::NotOurs { .. } => "name a new or empty folder with --state-dir",
            Self::Malformed { .. } => "mend the file, or start over with --fresh",
        }
    }
}

/// The state folder, open; nobody else has it meanwhile.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// Released by the system when the process ends.
    _lock: fs::File,
}

impl StateDir {
    /// Opens or makes the folder; `fresh` discards what an earlier start left. A folder with other people's files is
    /// left alone: a mistyped `--state-dir` must not cost a person theirs.
    pub(crate) fn open(path: &Path, fresh: bool) -> Result<Self, StateError> {
        ensure_ours(path)?;
        make_private_folder(path)?;
        let lock = take(path)?;
        if fresh {
            discard_content(path)?;
        }
        let dir = Self { path: path.to_owned(), _lock: lock };
        dir.write(".gitignore", b"*\n")?;
        Ok(dir)
    }

    /// A path inside the folder.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A private folder inside the folder.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = self.join(name);
        make_private_folder(&path)?;
        Ok(path)
    }

    /// What an earlier start kept, if there was one.
    pub(crate) fn load(&self) -> Result<Option<State>, StateError> {
        let path = self.join("state.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Io { path, action: "read", source }),
        };
        #[derive(Deserialize)]
        struct Header {
            schema: u32,
        }
        let malformed = |source| StateError::Malformed { path: path.clone(), source };
        let header: Header = serde_json::from_str(&text).map_err(malformed)?;
        if header.schema > SCHEMA {
            return Err(StateError::Newer { path, found: header.schema });
        }
        serde_json::from_str(&text).map(Some).map_err(malformed)
    }

    /// Keeps `state` for the next start.
    pub(crate) fn save(&self, state: &State) -> Result<(), StateError> {
        let path = self.join("state.json");
        let text =
            serde_json::to_vec_pretty(state).map_err(|source| StateError::Malformed { path, source })?;
        self.write("state.json", &text)
    }

    /// Removes a file of an earlier start that would be wrong now.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(StateError::Io { path, action: "removed", source })
            }
            _ => Ok(()),
        }
    }

    /// Writes a private file so that a reader sees the old or the new content, never half of it.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let path = self.join(name);
        let draft = self.join(&format!("{name}.new"));
        let io = |action| {
            let path = path.clone();
            move |source| StateError::Io { path, action, source }
        };
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .map_err(io("written"))?;
        file.write_all(content).and_then(|()| file.sync_all()).map_err(io("written"))?;
        fs::rename(&draft, &path).map_err(io("written"))
    }
}

impl State {
    /// The state of a first start.
    pub(crate) fn new(master_key: SecretString, sim_key: SecretString, operator_key: SecretString) -> Self {
        Self {
            schema: SCHEMA,
            master_key,
            sim_key,
            operator_key,
            addon: None,
            platform: None,
            tls: None,
            ports: Ports::default(),
        }
    }
}

/// A lock that was just given back may still be held for a moment, by a child between its fork and its exec.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// What every state folder holds from its first moment.
const LOCK: &str = "lock";

/// New, empty, or made by an earlier start.
fn ensure_ours(path: &Path) -> Result<(), StateError> {
    let holds_something = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    let is_ours = [LOCK, "state.json"].iter().any(|name| path.join(name).is_file());
    if holds_something && !is_ours { Err(StateError::NotOurs { path: path.to_owned() }) } else { Ok(()) }
}

fn take(path: &Path) -> Result<fs::File, StateError> {
    let io = |source| StateError::Io { path: path.join(LOCK), action: "locked", source };
    let mut options = fs::OpenOptions::new();
    let lock =
        options.write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK)).map_err(io)?;
    for _ in 0..LOOKS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_LOOKS),
            Err(fs::TryLockError::Error(source)) => return Err(io(source)),
        }
    }
    Err(StateError::InUse { path: path.to_owned() })
}

/// Everything but the lock, which is held.
fn discard_content(path: &Path) -> Result<(), StateError> {
    let io = |source| StateError::Io { path: path.to_owned(), action: "discarded", source };
    for entry in fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?;
        let inside = entry.path();
        if entry.file_name() == LOCK {
            continue;
        }
        let is_folder = entry.file_type().map_err(io)?.is_dir();
        if is_folder { fs::remove_dir_all(inside) } else { fs::remove_file(inside) }.map_err(io)?;
    }
    Ok(())
}

fn make_private_folder(path: &Path) -> Result<(), StateError> {
    let io = |action| move |source| StateError::Io { path: path.to_owned(), action, source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("made"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io("made private"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State::new("a".to_owned().into(), "b".to_owned().into(), "c".to_owned().into())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn keeps_what_it_is_given_and_lets_nobody_else_read_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("state");
        let dir = StateDir::open(&path, false).unwrap();
        assert!(dir.load().unwrap().is_none());
        dir.save(&state()).unwrap();
        assert_eq!(dir.load().unwrap().unwrap().schema, SCHEMA);
        assert_eq!((mode(&path), mode(&path.join("state.json"))), (0o700, 0o600));
        assert_eq!(fs::read_to_string(path.join(".gitignore")).unwrap(), "*\n");
    }

    #[test]
    fn refuses_a_newer_schema_and_names_the_place_of_a_syntax_error() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open(temp.path(), false).unwrap();
        dir.write("state.json", br#"{"schema": 99, "unknown": true}"#).unwrap();
        let error = dir.load().unwrap_err();
        assert!(matches!(error, StateError::Newer { found: 99, .. }), "{error}");
        assert!(error.hint().contains("--fresh"));
        dir.write("state.json", b"{\n  \"schema\": x}").unwrap();
        assert!(dir.load().unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn fresh_discards_what_a_start_left_even_one_that_was_cut_short() {
        let temp = tempfile::tempdir().unwrap();
        let ours = temp.path().join("ours");
        let dir = StateDir::open(&ours, false).unwrap();
        dir.folder("org").unwrap();
        drop(dir);
        StateDir::open(&ours, true).unwrap().save(&state()).unwrap();
        assert!(!ours.join("org").exists());
        assert!(StateDir::open(&ours, true).unwrap().load().unwrap().is_none());
    }

    #[test]
    fn a_folder_with_other_files_is_left_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("thesis.txt"), "years of work").unwrap();
        for fresh in [true, false] {
            assert!(matches!(StateDir::open(temp.path(), fresh), Err(StateError::NotOurs { .. })));
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_process_at_a_time_and_fresh_does_not_pull_the_floor_away() {
        let temp = tempfile::tempdir().unwrap();
        let first = StateDir::open(temp.path(), false).unwrap();
        first.save(&state()).unwrap();
        for fresh in [true, false] {
            assert!(matches!(StateDir::open(temp.path(), fresh), Err(StateError::InUse { .. })));
        }
        assert!(first.load().unwrap().is_some());
    }
}
