//! Where variables come from, as a parameter.

/// A set of environment variables.
pub trait Env: Send + Sync + 'static {
    /// The value of one variable; `None` when it is unset or not text.
    fn var(&self, name: &str) -> Option<String>;

    /// Every variable's name, in the environment's order.
    fn names(&self) -> Vec<String>;
}

/// The process's own environment, read at the moment of asking.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the environment")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }
}

/// A fixed list, for tests and for settings that come from elsewhere.
impl Env for Vec<(String, String)> {
    fn var(&self, name: &str) -> Option<String> {
        self.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|(name, _)| name.clone()).collect()
    }
}
