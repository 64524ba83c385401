//! `applink-mesh`, also installed as `heroku-applink-service-mesh`.

use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    applink_mesh::program::run(std::env::args_os().skip(1)).into()
}
