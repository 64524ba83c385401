//! `cargo xtask figures [--debug] [--short] [--rows N,N] [NAME …]`: what we promise in numbers, measured here and now. Never part of the tests.
//!
//! Each name is a file below: [`dev`] (the local stack), [`credentials`] (refresh, JWT, secrets, audit) and [`mesh`] (what
//! of the service mesh takes time).

mod credentials;
mod dev;
mod mesh;

use anyhow::{Context as _, Result, bail};

/// A set of figures.
struct Set {
    name: &'static str,
    about: &'static str,
    measure: fn(&Options) -> Result<bool>,
}

/// How to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    build: Build,
    /// As with every test run: for trying a figure out.
    short: bool,
    /// Only these, where a set has rows; all when it is empty.
    promises: Vec<String>,
}

impl Options {
    /// The options among the arguments, and the rest.
    fn parse<'a>(arguments: &[&'a str]) -> Result<(Self, Vec<&'a str>)> {
        let mut options = Self { build: Build::Release, short: false, promises: Vec::new() };
        let (mut names, mut words) = (Vec::new(), arguments.iter());
        while let Some(word) = words.next() {
            match *word {
                "--debug" => options.build = Build::Debug,
                "--short" => options.short = true,
                "--rows" => {
                    let rows = words.next().context("--rows needs numbers, as in --rows 2,38")?;
                    options.promises.extend(rows.split(',').map(str::to_owned));
                }
                unknown if unknown.starts_with('-') => {
                    bail!("no such option: {unknown}; there are --debug, --short and --rows N,N")
                }
                name => names.push(name),
            }
        }
        Ok((options, names))
    }

    fn tier(&self) -> &'static str {
        if self.short { "ci" } else { "figures" }
    }
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
    let (options, names) = Options::parse(arguments)?;
    if let Some(unknown) = names.iter().find(|name| !SETS.iter().any(|set| set.name == **name)) {
        let known: Vec<_> = SETS.iter().map(|set| format!("{} ({})", set.name, set.about)).collect();
        bail!("no such figures: {unknown}; there are {}", known.join(", "));
    }
    let mut all_kept = true;
    for set in SETS.iter().filter(|set| names.is_empty() || names.contains(&set.name)) {
        all_kept &= (set.measure)(&options)?;
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

    #[test]
    fn options_may_stand_anywhere_and_unknown_ones_are_refused() {
        let (options, names) = Options::parse(&["--short", "credentials", "--rows", "2,38"]).unwrap();
        assert_eq!(names, ["credentials"]);
        assert_eq!((options.short, options.build, options.tier()), (true, Build::Release, "ci"));
        assert_eq!(options.promises, ["2", "38"]);
        for wrong in [&["--rows"][..], &["--fast"]] {
            Options::parse(wrong).unwrap_err();
        }
    }
}
