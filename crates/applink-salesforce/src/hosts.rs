//! Where we may call as a client of an org.
//!
//! 1. A URL arrives: typed by a person (login URL), or out of an org's answer (instance URL, identity URL,
//!    next page of a query).
//! 2. [`OrgHosts`] checks it: https on a Salesforce host, or an origin the operator has listed.
//! 3. What passes becomes an [`OrgOrigin`], and requests are only ever made to one of those.
//!
//! A *login-host map* ([`OrgHosts::lead`]) leads `https://login.salesforce.com` and its sandbox twin to other
//! origins. It is applied once, in [`OrgHosts::login`]; authorize URL, assertion audience and token call all
//! start from the origin it yields, so they can't disagree.

use std::fmt;

use url::{Host, Url};

/// Where production and developer orgs log in; the default when no login URL is given.
pub const PRODUCTION_LOGIN: &str = "https://login.salesforce.com";
/// Where sandboxes and scratch orgs log in.
pub const SANDBOX_LOGIN: &str = "https://test.salesforce.com";

/// Domains under which Salesforce runs orgs: every subdomain is allowed, the bare domain is not.
///
/// `salesforce.com` covers login and test, My Domain (`*.my.salesforce.com`) of production, sandbox, scratch,
/// Developer Edition and trial orgs, old instance names (`na1.salesforce.com`) and Data Cloud tenants;
/// `salesforce.mil` is Government Cloud, `sfcrmproducts.cn` the orgs in China.
const SALESFORCE_DOMAINS: [&str; 3] = ["salesforce.com", "salesforce.mil", "sfcrmproducts.cn"];

/// What a checked URL is for; names it in errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UrlRole {
    /// Where a person or an assertion logs in.
    Login,
    /// The org's own URL, out of a token answer or a stored row.
    Instance,
    /// The `id` of a token answer.
    Identity,
    /// The next page of a query.
    NextRecords,
    /// An origin the operator lists.
    Listed,
}

impl fmt::Display for UrlRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "login URL",
            Self::Instance => "instance URL",
            Self::Identity => "identity URL",
            Self::NextRecords => "next-records URL",
            Self::Listed => "listed origin",
        })
    }
}

/// A URL is not one we may call. Shows at most scheme, host and port of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostRefused {
    /// Not a URL with a host.
    #[error("the {0} is not a URL with a host, such as https://acme.my.salesforce.com")]
    NotAUrl(UrlRole),
    /// Plain http, or some other scheme, towards a host that isn't listed.
    #[error("the {role} {origin} must use https")]
    NotHttps {
        /// What the URL is for.
        role: UrlRole,
        /// Scheme, host and port.
        origin: String,
    },
    /// `https://user:password@host`.
    #[error("the {0} must not carry a user name or password")]
    HasUserInfo(UrlRole),
    /// More than scheme, host and port where only those belong.
    #[error("the {role} {origin} must end after the host: leave out the path")]
    HasPath {
        /// What the URL is for.
        role: UrlRole,
        /// Scheme, host and port.
        origin: String,
    },
    /// A port of its own on a Salesforce host.
    #[error("the {role} {origin} must not name a port")]
    HasPort {
        /// What the URL is for.
        role: UrlRole,
        /// Scheme, host and port.
        origin: String,
    },
    /// Neither Salesforce nor listed.
    #[error("the {role} {origin} is neither a Salesforce host nor listed by the operator")]
    NotAllowed {
        /// What the URL is for.
        role: UrlRole,
        /// Scheme, host and port.
        origin: String,
    },
}

impl HostRefused {
    /// What to do about it, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAllowed { role: UrlRole::Login, .. } => {
                "Use https://login.salesforce.com, https://test.salesforce.com or the org's My Domain URL (https://….my.salesforce.com)."
            }
            Self::NotAllowed { .. } => {
                "If this host is yours, have the operator add it to the allowed org hosts."
            }
            Self::NotHttps { .. } => {
                "Write the URL with https://; plain http is only for origins the operator lists."
            }
            Self::NotAUrl(_) | Self::HasUserInfo(_) | Self::HasPath { .. } | Self::HasPort { .. } => {
                "Give only https:// and the host name."
            }
        }
    }
}

/// Scheme, host and port of an org: the proof that requests may be sent there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OrgOrigin(Url);

impl OrgOrigin {
    /// An origin somebody else has already vouched for: the control plane's answer, or a context header the
    /// mesh has verified. https, or http on a loopback address.
    ///
    /// # Errors
    /// [`HostRefused`] when it isn't an origin, or is plain http towards another machine.
    pub fn vouched_for(text: &str) -> Result<Self, HostRefused> {
        let origin = parse_origin(UrlRole::Instance, text)?;
        if origin.0.scheme() == "https" || origin.is_loopback() {
            return Ok(origin);
        }
        Err(HostRefused::NotHttps { role: UrlRole::Instance, origin: origin.to_string() })
    }

    /// `https://acme.my.salesforce.com`, without a slash at the end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Host and, where it isn't the scheme's own, port.
    pub fn authority(&self) -> &str {
        self.0.authority()
    }

    /// Whether a URL has this very origin.
    pub fn covers(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    /// A URL at this origin. `path` starts with a slash and may hold a query; it can't change the host.
    pub fn at(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.0.clone();
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// Whether the host is one of Salesforce's own, as opposed to one the operator listed.
    pub fn is_salesforce(&self) -> bool {
        self.0.scheme() == "https" && self.0.port().is_none() && is_salesforce_host(&self.0)
    }

    /// Whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
    }
}

impl fmt::Display for OrgOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OrgOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrgOrigin({self})")
    }
}

/// The hosts we may call as a client of an org.
#[derive(Clone, Debug, Default)]
pub struct OrgHosts {
    listed: Vec<OrgOrigin>,
    led: Vec<(OrgOrigin, OrgOrigin)>,
}

impl OrgHosts {
    /// Salesforce's own hosts and nothing else.
    pub fn salesforce() -> Self {
        Self::default()
    }

    /// Also allows one origin, for which plain http is fine then: the operator vouches for it.
    ///
    /// # Errors
    /// [`HostRefused`] when the text is not an http or https origin.
    pub fn list(mut self, origin: &str) -> Result<Self, HostRefused> {
        let origin = parse_origin(UrlRole::Listed, origin)?;
        if !self.listed.contains(&origin) {
            self.listed.push(origin);
        }
        Ok(self)
    }

    /// Leads every login at `from` (usually [`PRODUCTION_LOGIN`] or [`SANDBOX_LOGIN`]) to `to`, which becomes
    /// listed. A later entry for the same `from` replaces the earlier one.
    ///
    /// # Errors
    /// [`HostRefused`] when one of the two is not an http or https origin.
    pub fn lead(mut self, from: &str, to: &str) -> Result<Self, HostRefused> {
        let from = parse_origin(UrlRole::Login, from)?;
        let target = parse_origin(UrlRole::Listed, to)?;
        self.led.retain(|(known, _)| *known != from);
        self.led.push((from, target));
        self.list(to)
    }

    /// Checks a login URL ([`PRODUCTION_LOGIN`] when none is given) and applies the login-host map. A missing
    /// scheme is read as https.
    ///
    /// # Errors
    /// [`HostRefused`], with a [`hint`](HostRefused::hint).
    pub fn login(&self, login_url: Option<&str>) -> Result<OrgOrigin, HostRefused> {
        let asked = parse_origin(UrlRole::Login, login_url.unwrap_or(PRODUCTION_LOGIN))?;
        let led = self.led.iter().find(|(from, _)| *from == asked).map(|(_, to)| to.clone());
        self.allowed(UrlRole::Login, led.unwrap_or(asked))
    }

    /// The login host that serves the kind of org a My Domain URL is of, with the login-host map applied: sandboxes and
    /// scratch orgs log in at [`SANDBOX_LOGIN`], all others at [`PRODUCTION_LOGIN`]. None for a URL that is no My Domain.
    pub fn general_login(&self, login_url: &str) -> Option<OrgOrigin> {
        let asked = parse_origin(UrlRole::Login, login_url).ok()?;
        let Some(Host::Domain(host)) = asked.0.host() else { return None };
        let name = host.strip_suffix(".my.salesforce.com")?;
        let is_sandbox = [".sandbox", ".scratch"].iter().any(|kind| name.ends_with(kind));
        self.login(Some(if is_sandbox { SANDBOX_LOGIN } else { PRODUCTION_LOGIN })).ok()
    }

    /// Checks the `instance_url` of a token answer or a stored row. A missing scheme is read as https.
    ///
    /// # Errors
    /// [`HostRefused`].
    pub fn instance(&self, instance_url: &str) -> Result<OrgOrigin, HostRefused> {
        self.allowed(UrlRole::Instance, parse_origin(UrlRole::Instance, instance_url)?)
    }

    /// Checks any absolute URL, path and all, and yields its origin.
    ///
    /// # Errors
    /// [`HostRefused`].
    pub fn check(&self, role: UrlRole, url: &Url) -> Result<OrgOrigin, HostRefused> {
        self.allowed(role, origin_of(role, url)?)
    }

    fn allowed(&self, role: UrlRole, origin: OrgOrigin) -> Result<OrgOrigin, HostRefused> {
        if self.listed.contains(&origin) {
            return Ok(origin);
        }
        let shown = origin.to_string();
        if !is_salesforce_host(&origin.0) {
            return Err(HostRefused::NotAllowed { role, origin: shown });
        }
        if origin.0.scheme() != "https" {
            return Err(HostRefused::NotHttps { role, origin: shown });
        }
        if origin.0.port().is_some() {
            return Err(HostRefused::HasPort { role, origin: shown });
        }
        Ok(origin)
    }
}

fn is_salesforce_host(url: &Url) -> bool {
    let Some(Host::Domain(host)) = url.host() else { return false };
    SALESFORCE_DOMAINS
        .iter()
        .filter_map(|domain| host.strip_suffix(domain))
        .any(|rest| rest.ends_with('.') && rest.len() > 1)
}

fn parse_origin(role: UrlRole, text: &str) -> Result<OrgOrigin, HostRefused> {
    let text = text.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&with_scheme).map_err(|_| HostRefused::NotAUrl(role))?;
    let origin = origin_of(role, &url)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(HostRefused::HasPath { role, origin: origin.to_string() });
    }
    Ok(origin)
}

fn origin_of(role: UrlRole, url: &Url) -> Result<OrgOrigin, HostRefused> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(HostRefused::NotAUrl(role));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HostRefused::HasUserInfo(role));
    }
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin.set_fragment(None);
    Ok(OrgOrigin(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_my_domain_belongs_to_the_login_host_of_its_kind_of_org() {
        let hosts = OrgHosts::salesforce();
        for (url, general) in [
            ("https://acme.my.salesforce.com", Some(PRODUCTION_LOGIN)),
            ("acme-dev-ed.develop.my.salesforce.com", Some(PRODUCTION_LOGIN)),
            ("https://acme--dev.sandbox.my.salesforce.com/", Some(SANDBOX_LOGIN)),
            ("https://flow-46-dev-ed.scratch.my.salesforce.com", Some(SANDBOX_LOGIN)),
            ("https://login.salesforce.com", None),
            ("https://test.salesforce.com", None),
            ("http://127.0.0.1:7701", None),
            ("nonsense", None),
        ] {
            let found = hosts.general_login(url);
            assert_eq!(found.as_ref().map(OrgOrigin::as_str), general, "{url}");
        }
    }

    #[test]
    fn salesforce_hosts_of_every_kind_are_allowed() {
        let hosts = OrgHosts::salesforce();
        for host in [
            "https://login.salesforce.com",
            "https://test.salesforce.com/",
            "https://acme.my.salesforce.com",
            "https://acme--dev.sandbox.my.salesforce.com",
            "https://flow-46-dev-ed.scratch.my.salesforce.com",
            "https://acme-dev-ed.develop.my.salesforce.com",
            "https://acme.trailblaze.my.salesforce.com",
            "https://na139.salesforce.com",
            "https://gt4tqy.c360a.salesforce.com",
            "https://acme.my.salesforce.mil",
            "https://acme.my.sfcrmproducts.cn",
            "acme.my.salesforce.com",
            "HTTPS://ACME.my.Salesforce.COM:443",
        ] {
            assert!(hosts.instance(host).is_ok(), "{host}: {:?}", hosts.instance(host));
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        let hosts = OrgHosts::salesforce();
        let refused = |text: &str| hosts.instance(text).unwrap_err();
        for text in [
            "https://salesforce.com",
            "https://evilsalesforce.com",
            "https://salesforce.com.evil.example",
            "https://login.salesforce.com.",
            "https://login.salesforce.com.evil.example",
            "https://127.0.0.1:7701",
            "http://localhost:7701",
            "https://[::1]",
            "https://169.254.169.254",
            "https://xn--sлesforce.com",
            "https://login.salesforce.com%2eevil.example",
        ] {
            let error = refused(text);
            assert!(
                matches!(error, HostRefused::NotAllowed { .. } | HostRefused::NotAUrl(_)),
                "{text}: {error:?}"
            );
        }
        assert!(matches!(refused("http://login.salesforce.com"), HostRefused::NotHttps { .. }));
        assert!(matches!(refused("https://login.salesforce.com:8443"), HostRefused::HasPort { .. }));
        assert!(matches!(refused("https://a:b@login.salesforce.com"), HostRefused::HasUserInfo(_)));
        assert!(matches!(refused("https://login.salesforce.com@evil.example"), HostRefused::HasUserInfo(_)));
        assert!(matches!(refused("https://acme.my.salesforce.com/x"), HostRefused::HasPath { .. }));
        assert!(matches!(refused("https://acme.my.salesforce.com?x"), HostRefused::HasPath { .. }));
        for text in ["", "https://", "ftp://login.salesforce.com", "javascript://login.salesforce.com/%0a"] {
            assert!(matches!(refused(text), HostRefused::NotAUrl(_)), "{text}");
        }
    }

    #[test]
    fn refusals_show_no_more_than_the_origin() {
        let error = OrgHosts::salesforce().instance("https://u:canary@x.example/canary?canary").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
        let error = OrgHosts::salesforce().instance("https://x.example").unwrap_err();
        assert!(error.to_string().contains("https://x.example") && !error.hint().is_empty());
    }

    #[test]
    fn a_listed_origin_is_allowed_to_the_port_and_scheme() {
        let hosts = OrgHosts::salesforce().list("http://127.0.0.1:7701").unwrap();
        assert!(hosts.instance("http://127.0.0.1:7701/").is_ok());
        for other in ["http://127.0.0.1:7702", "https://127.0.0.1:7701", "http://localhost:7701"] {
            assert!(hosts.instance(other).is_err(), "{other}");
        }
    }

    #[test]
    fn login_hosts_are_led_elsewhere_and_other_logins_are_not() {
        let hosts = OrgHosts::salesforce()
            .lead(PRODUCTION_LOGIN, "http://127.0.0.1:7701")
            .and_then(|hosts| hosts.lead(SANDBOX_LOGIN, "http://127.0.0.1:7702"))
            .unwrap();
        assert_eq!(hosts.login(None).unwrap().as_str(), "http://127.0.0.1:7701");
        assert_eq!(
            hosts.login(Some("https://login.salesforce.com/")).unwrap().as_str(),
            "http://127.0.0.1:7701"
        );
        assert_eq!(hosts.login(Some("test.salesforce.com")).unwrap().as_str(), "http://127.0.0.1:7702");
        let own = hosts.login(Some("https://acme.my.salesforce.com")).unwrap();
        assert_eq!(own.as_str(), "https://acme.my.salesforce.com");
        assert_eq!(OrgHosts::salesforce().login(None).unwrap().as_str(), PRODUCTION_LOGIN);
    }

    #[test]
    fn vouched_for_origins_are_https_or_loopback() {
        for good in ["https://acme.example", "http://127.0.0.1:7701", "http://localhost:1", "http://[::1]:1"]
        {
            assert!(OrgOrigin::vouched_for(good).is_ok(), "{good}");
        }
        for bad in ["http://acme.example", "http://10.0.0.1", "https://a/b"] {
            assert!(OrgOrigin::vouched_for(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_never_changes_the_host() {
        let origin = OrgOrigin::vouched_for("https://acme.my.salesforce.com").unwrap();
        for path in ["//evil.example/x", "/\\evil.example", "@evil.example", "/a?b=//evil.example"] {
            assert!(origin.covers(&origin.at(path)), "{path} → {}", origin.at(path));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_passes_is_a_salesforce_https_origin(text in ".{0,60}") {
            if let Ok(origin) = OrgHosts::salesforce().instance(&text) {
                proptest::prop_assert!(origin.is_salesforce());
            }
        }
    }
}
