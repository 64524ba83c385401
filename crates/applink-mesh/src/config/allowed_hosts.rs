//! Which hosts a mesh on a developer's machine answers to.
//!
//! Any web page can make a browser send requests to loopback: openly, which `Origin` tells, or under a host name that
//! leads to 127.0.0.1 (DNS rebinding), which `Host` tells. Both are compared with the mesh's own addresses.

use http::uri::Authority;

/// Hosts with their ports; letter case makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHosts(Vec<Site>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Site {
    host: String,
    port: u16,
}

impl AllowedHosts {
    /// These hosts, as a browser writes them (`localhost`, `127.0.0.1`, `[::1]`), at these ports.
    pub fn new<H: AsRef<str>>(hosts: impl IntoIterator<Item = (H, u16)>) -> Self {
        let site = |(host, port): (H, u16)| Site { host: host.as_ref().to_ascii_lowercase(), port };
        Self(hosts.into_iter().map(site).collect())
    }

    /// `127.0.0.1` and `localhost` at this port.
    pub fn loopback(port: u16) -> Self {
        Self::new([("127.0.0.1", port), ("localhost", port)])
    }

    /// Is this the value of a `Host` (or an `:authority`) that is one of them? Without a port it means 80.
    pub(crate) fn include_host(&self, host: &str) -> bool {
        Site::parse(host, 80).is_some_and(|site| self.0.contains(&site))
    }

    /// Is this the value of an `Origin` (RFC 6454 §7.1) of one of them? `null` is not.
    pub(crate) fn include_origin(&self, origin: &str) -> bool {
        let site = match origin.split_once("://") {
            Some(("http", rest)) => Site::parse(rest, 80),
            Some(("https", rest)) => Site::parse(rest, 443),
            _ => None,
        };
        site.is_some_and(|site| self.0.contains(&site))
    }
}

impl Site {
    /// `None` with a user name, an unreadable port, or anything else that is no `host` or `host:port`.
    fn parse(text: &str, default_port: u16) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        let port = match authority.as_str().strip_prefix(authority.host())? {
            "" => default_port,
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        Some(Self { host: authority.host().to_ascii_lowercase(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_with_their_ports() {
        let allowed = AllowedHosts::loopback(7702);
        for host in ["127.0.0.1:7702", "localhost:7702", "LocalHost:7702"] {
            assert!(allowed.include_host(host), "{host}");
        }
        for host in [
            "localhost",
            "localhost:7703",
            "localhost:77020",
            "localhost.:7702",
            "localhost.evil.example:7702",
            "localhost:7702@evil.example",
            "evil@localhost:7702",
            "127.0.0.2:7702",
            "evil.example:7702",
            "localhost:x",
            "localhost:",
            "",
        ] {
            assert!(!allowed.include_host(host), "{host}");
        }
        let plain = AllowedHosts::new([("[::1]", 80), ("app.Test", 80)]);
        assert!(
            plain.include_host("[::1]") && plain.include_host("[::1]:80") && plain.include_host("APP.test")
        );
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        let allowed = AllowedHosts::new([("localhost", 7702), ("app.test", 443)]);
        for origin in ["http://localhost:7702", "https://localhost:7702", "https://app.test"] {
            assert!(allowed.include_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "localhost:7702",
            "http://localhost",
            "http://app.test",
            "http://localhost:7702/",
            "http://localhost:7702.evil.example",
            "file://localhost:7702",
        ] {
            assert!(!allowed.include_origin(origin), "{origin}");
        }
    }
}
