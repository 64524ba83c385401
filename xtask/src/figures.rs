//! `cargo xtask figures [--debug] [NAME …]`: what we promise in numbers, measured here and now. Never part of the tests.
//!
//! Each name is a file below: [`dev`] (the local stack), [`credentials`] (refresh, JWT, secrets, audit) and [`mesh`] (what
//! of the service mesh takes time).

mod credentials;
mod dev;
mod mesh;

use anyhow::{Result, bail};

/// A set of figures.
struct Set {
    name: &'static str,
    about: &'static str,
    measure: fn(Build) -> Result<bool>,
}

/// How what is measured is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    /// What counts.
    Release,
    /// For trying a figure out: `--debug`.
    Debug,
}

impl Build {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--release"],
            Self::Debug => &[],
        }
    }
}

impl std::fmt::Display for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Release => "release",
            Self::Debug => "debug",
        })
    }
}

const SETS: [Set; 3] = [
    Set { name: "dev", about: "how fast and how small `applink dev` is", measure: dev::measure },
    Set {
        name: "credentials",
        about: "that credentials never die, never leak and are never used twice",
        measure: credentials::measure,
    },
    Set {
        name: "mesh",
        about: "that the mesh's memory stays, its restarts lose nothing and its decision has no gap",
        measure: mesh::measure,
    },
];

/// Measures the named sets, or all of them, and says whether every promise is kept.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let (options, names): (Vec<&str>, Vec<&str>) =
        arguments.iter().copied().partition(|word| *word == "--debug");
    let build = if options.is_empty() { Build::Release } else { Build::Debug };
    if let Some(unknown) = names.iter().find(|name| !SETS.iter().any(|set| set.name == **name)) {
        let known: Vec<_> = SETS.iter().map(|set| format!("{} ({})", set.name, set.about)).collect();
        bail!("no such figures: {unknown}; there are {}", known.join(", "));
    }
    let mut all_kept = true;
    for set in SETS.iter().filter(|set| names.is_empty() || names.contains(&set.name)) {
        all_kept &= (set.measure)(build)?;
    }
    Ok(all_kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_figures_are_named_with_those_there_are() {
        let error = run(&["nonsense"]).unwrap_err().to_string();
        assert!(error.contains("nonsense") && error.contains("credentials"), "{error}");
    }
}
