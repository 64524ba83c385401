//! A PostgreSQL server of one test's own, which it may stop and start again.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The server; dropping it stops it.
pub(crate) struct OwnPostgres {
    binaries: PathBuf,
    data: TempDir,
    port: u16,
    as_root: bool,
}

impl OwnPostgres {
    /// Makes a cluster and starts it. None where PostgreSQL's server programs are not installed.
    pub(crate) fn start() -> Option<Self> {
        let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .flatten()
            .map(|entry| entry.path().join("bin"))
            .filter(|folder| folder.join("pg_ctl").exists())
            .collect();
        versions.sort();
        let data = tempfile::tempdir().expect("a folder");
        let as_root = is_root(data.path());
        if as_root {
            run(Command::new("chown").arg("postgres:").arg(data.path()));
        }
        let port =
            TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address").port();
        let own = Self { binaries: versions.pop()?, data, port, as_root };
        let folder = own.cluster().display().to_string();
        let mut initdb = own.program("initdb");
        initdb.args(["--pgdata", &folder, "--username", "postgres", "--auth", "trust"]);
        run(initdb.args(["--encoding", "UTF8", "--no-sync"]));
        own.up();
        Some(own)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it and waits until it answers.
    pub(crate) fn up(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=50",
            self.port,
            self.data.path().display()
        );
        run(self.control("start").args(["-w", "-t", "60", "-o", &options]));
    }

    /// Stops it as a crash would.
    pub(crate) fn down(&self) {
        run(self.control("stop").args(["-m", "immediate"]));
    }

    fn cluster(&self) -> PathBuf {
        self.data.path().join("cluster")
    }

    fn control(&self, what: &str) -> Command {
        let mut command = self.program("pg_ctl");
        command.args([what, "-s", "-D"]).arg(self.cluster());
        command
    }

    /// PostgreSQL refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let program = self.binaries.join(name);
        let mut command = if self.as_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(Path::new("/")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        let _ = self.control("stop").args(["-m", "immediate"]).status();
    }
}

/// Whoever made the folder.
fn is_root(folder: &Path) -> bool {
    folder.metadata().expect("a folder").uid() == 0
}

fn run(command: &mut Command) {
    let status = command.status().expect("a program that runs");
    assert!(status.success(), "{command:?} ended with {status}");
}
