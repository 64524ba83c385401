//! Cargo forgets a profile's `strip` for a package that has settings of its own in the profile.
//! (`-s` alone is not enough: the compiler's own `--strip-debug` beside it wins.)
#![expect(clippy::disallowed_methods, reason = "Cargo tells a build script everything by the environment")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--strip-all");
    }
}
