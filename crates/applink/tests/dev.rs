//! `applink dev` as a person, a script and an app meet it: the real binary, real HTTP, a real browser.

#[cfg(test)]
mod dev {
    mod bad_input;
    mod browser;
    mod dashboard;
    mod doctor;
    mod flows;
    mod leaks;
    mod orgsim_pages;
    mod pipelines;
    mod ready;
    mod tls;
    mod tour;
    /// The person with a browser of the tour.
    #[path = "../../src/dev/visitor.rs"]
    mod visitor;

    /// The binary under test.
    pub(crate) const APPLINK: &str = env!("CARGO_BIN_EXE_applink");

    /// A client without the system's proxies.
    pub(crate) fn http() -> reqwest::Client {
        reqwest::Client::builder().no_proxy().build().unwrap()
    }
}
