//! A PostgreSQL server of our own for one test run: its own data folder, its own port, gone afterwards.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::tools::is_root;

/// A running server; dropping it stops it and removes its data.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Child,
    data: PathBuf,
    port: u16,
}

impl Postgres {
    /// Makes a cluster and starts it on a free loopback port.
    pub(crate) fn start() -> Result<Self> {
        let binaries = binaries().context("PostgreSQL's server programs are not installed")?;
        let data = std::env::temp_dir().join(format!("applink-test-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&data).context("making a folder for PostgreSQL")?;
        if is_root() {
            let owner = format!("{SERVER_USER}:");
            run(Command::new("chown").arg(&owner).arg(&data))?;
        }
        run(as_server_user(&binaries.join("initdb")).args(initdb_arguments(&data)))?;
        let port = free_port()?;
        let server = as_server_user(&binaries.join("postgres"))
            .args(server_arguments(&data, port))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting PostgreSQL")?;
        let mut postgres = Self { server, data, port };
        postgres.wait_until_ready(&binaries)?;
        Ok(postgres)
    }

    /// The address of its maintenance database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn wait_until_ready(&mut self, binaries: &Path) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let port = self.port.to_string();
        while Instant::now() < deadline {
            if let Some(status) = self.server.try_wait().context("watching PostgreSQL")? {
                bail!("PostgreSQL stopped at once with {status}");
            }
            let ready = Command::new(binaries.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status()
                .context("asking PostgreSQL whether it is ready")?;
            if ready.success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("PostgreSQL was not ready within 30 s")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(binaries) = binaries() {
            let data = self.data.display().to_string();
            let _ = as_server_user(&binaries.join("pg_ctl"))
                .args(["stop", "-s", "-m", "fast", "-D", &data])
                .status();
        }
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// The user the server runs as when we are root, since PostgreSQL refuses to run as root.
const SERVER_USER: &str = "postgres";

fn as_server_user(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", SERVER_USER, "--"]).arg(program);
        command.current_dir("/");
        command
    } else {
        Command::new(program)
    }
}

fn initdb_arguments(data: &Path) -> Vec<String> {
    let data = data.display().to_string();
    ["--pgdata", &data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        .map(str::to_owned)
        .to_vec()
}

fn server_arguments(data: &Path, port: u16) -> Vec<String> {
    let data = data.display().to_string();
    let port = port.to_string();
    let mut arguments = vec!["-D".to_owned(), data.clone(), "-p".to_owned(), port];
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={data}"),
        "max_connections=400".to_owned(),
        // The data is thrown away; what is tested is the statements, not the disk.
        "fsync=off".to_owned(),
    ] {
        arguments.push("-c".to_owned());
        arguments.push(setting);
    }
    arguments
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("finding a free port")?;
    Ok(listener.local_addr().context("reading the free port")?.port())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The folder with `initdb` and `postgres`: Debian keeps them off the `PATH`, one folder per version.
pub(crate) fn binaries() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("postgres").exists() && folder.join("pg_isready").exists())
        .collect();
    versions.sort();
    versions.pop()
}
