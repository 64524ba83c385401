//! URLs that tenants type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::StatusCode;
use reqwest::redirect::Policy;
use url::{Host, Url};

/// Whole time of a call.
const DEADLINE: Duration = Duration::from_secs(10);

/// A tenant's URL can't be called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantEgressError {
    /// Not https, or with a user name.
    #[error("the URL must start with https:// and carry no user name")]
    Form,
    /// The host has no address.
    #[error("the host name has no address")]
    Unknown(#[source] std::io::Error),
    /// The host has an address that is not public.
    #[error("the host leads to {0}, which is not a public address")]
    NotPublic(IpAddr),
    /// The call failed.
    #[error("the call failed")]
    Call(#[source] reqwest::Error),
}

/// Calls URLs that tenants type.
#[derive(Clone, Debug, Default)]
pub struct TenantEgress;

impl TenantEgress {
    /// POSTs to a tenant's URL and tells the status; the answer's body is not read.
    ///
    /// # Errors
    /// [`TenantEgressError`].
    pub async fn post(
        &self,
        url: &Url,
        headers: http::HeaderMap,
        body: Vec<u8>,
    ) -> Result<StatusCode, TenantEgressError> {
        let (host, addresses) = resolve(url).await?;
        // A client per call: its one host name leads to the addresses that were checked, whatever DNS says later.
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .timeout(DEADLINE)
            .resolve_to_addrs(&host, &addresses)
            .build()
            .map_err(TenantEgressError::Call)?;
        let request = client.post(url.clone()).headers(headers).body(body);
        let answer = request.send().await.map_err(|error| TenantEgressError::Call(error.without_url()))?;
        Ok(answer.status())
    }
}

/// Host and addresses, every one of them public.
async fn resolve(url: &Url) -> Result<(String, Vec<SocketAddr>), TenantEgressError> {
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err(TenantEgressError::Form);
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let (host, addresses) = match url.host() {
        None => return Err(TenantEgressError::Form),
        Some(Host::Ipv4(address)) => (address.to_string(), vec![SocketAddr::from((address, port))]),
        Some(Host::Ipv6(address)) => (address.to_string(), vec![SocketAddr::from((address, port))]),
        Some(Host::Domain(name)) => {
            let found = tokio::net::lookup_host((name, port)).await.map_err(TenantEgressError::Unknown)?;
            (name.to_owned(), found.collect())
        }
    };
    match addresses.iter().map(SocketAddr::ip).find(|address| !is_public(*address)) {
        Some(address) => Err(TenantEgressError::NotPublic(address)),
        None => Ok((host, addresses)),
    }
}

/// Whether an address is one of the public internet (IANA special-purpose address registries).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

/// Only 2000::/3 is public; inside it, what embeds an IPv4 address (6to4, Teredo) or is for documentation is not.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(embedded) = address.to_ipv4_mapped() {
        return is_public_v4(embedded);
    }
    let [first, second, ..] = address.segments();
    let global = (0x2000..0x4000).contains(&first);
    let special = first == 0x2002
        || (first == 0x2001 && second < 0x200)
        || (first == 0x2001 && second == 0xdb8)
        || (first == 0x3fff);
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_count() {
        for address in ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_loopback_url_is_refused_before_anything_is_sent() {
        for url in ["https://127.0.0.1/hook", "https://localhost/hook", "https://[::1]/hook"] {
            let error = resolve(&url.parse().unwrap()).await.unwrap_err();
            assert!(matches!(error, TenantEgressError::NotPublic(_)), "{url}: {error}");
        }
        for url in ["http://8.8.8.8/hook", "https://user@8.8.8.8/hook", "ftp://8.8.8.8"] {
            let error = resolve(&url.parse().unwrap()).await.unwrap_err();
            assert!(matches!(error, TenantEgressError::Form), "{url}: {error}");
        }
    }
}
