//! Measured figures: a test runs in a short form with every test run and in a longer one for
//! `cargo xtask figures`, and says in one line what it measured.

use serde_json::json;

/// How long a test that measures may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// With every test run.
    Ci,
    /// `cargo xtask figures`.
    Figures,
    /// A person started it and waits.
    Long,
}

impl Tier {
    /// The tier of this run, from `APPLINK_TIER`.
    pub fn current() -> Self {
        match variable("APPLINK_TIER").as_deref() {
            Some("figures") => Self::Figures,
            Some("long") => Self::Long,
            _ => Self::Ci,
        }
    }

    /// How many of something, by tier.
    pub fn pick<T>(self, ci: T, figures: T) -> T {
        match self {
            Self::Ci => ci,
            Self::Figures | Self::Long => figures,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Figures => "figures",
            Self::Long => "long",
        }
    }
}

/// The seed of this run: `APPLINK_SEED`, or 1.
pub fn seed() -> u64 {
    variable("APPLINK_SEED").and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[expect(clippy::disallowed_methods, reason = "a test run's settings are read here and nowhere else")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The promise's number, `"1"`.
    pub promise: &'static str,
    /// What was done.
    pub what: String,
    /// What came out.
    pub measured: String,
    /// What was promised.
    pub promised: String,
    /// Whether that is kept.
    pub kept: bool,
    /// What repeats it, when chance was involved.
    pub seed: Option<u64>,
}

impl Figure {
    /// Prints the line and fails the test when the promise is not kept.
    #[track_caller]
    pub fn report(&self) {
        self.print();
        let Self { promise, what, measured, promised, kept, seed } = self;
        assert!(kept, "promise {promise}, {what}: {measured}, promised {promised} (seed {seed:?})");
    }

    /// Prints the line.
    #[expect(clippy::print_stdout, reason = "the line is what cargo xtask figures reads")]
    pub fn print(&self) {
        let Self { promise, what, measured, promised, kept, seed } = self;
        let line = json!({
            "promise": promise, "what": what, "measured": measured, "promised": promised, "kept": kept,
            "seed": seed, "tier": Tier::current().as_str(),
        });
        println!("figure: {line}");
    }
}
