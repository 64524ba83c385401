//! `applink-mesh`, also installed as `heroku-applink-service-mesh`.

use std::process::ExitCode;

fn main() -> ExitCode {
    applink_mesh::program::run(std::env::args_os().skip(1)).into()
}
