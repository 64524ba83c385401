//! URLs that tenants type.
//!
//! 1. A URL is read as browsers read it (`url`), so that `https://2130706433/` and `https://0x7f.1/` are the address
//!    they stand for.
//! 2. Its host is resolved, once. One address that is not public is enough to refuse it: a name that leads to both
//!    would otherwise be a matter of luck.
//! 3. The connection goes to the addresses that were looked at, whatever DNS says a moment later.
//! 4. Redirects are not followed, no proxy is asked, and the body of the answer is not read.
//!
//! The operator may list origins of their own network, which are called without 2's condition.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use reqwest::redirect::Policy;
use url::{Host, Origin, Url};

/// Whole time of a call, name look-up included.
pub const TENANT_DEADLINE: Duration = Duration::from_secs(10);

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
    /// The host has an address that is not public. Which one is nobody's business: names inside our network are not
    /// to be found out by trying.
    #[error("the host does not lead to a public address")]
    NotPublic,
    /// It took longer than [`TENANT_DEADLINE`].
    #[error("no answer came within {} seconds", TENANT_DEADLINE.as_secs())]
    Late,
    /// Nobody listens there, or the TLS handshake failed.
    #[error("the host can't be connected to")]
    Connect(#[source] reqwest::Error),
    /// The call failed later.
    #[error("the connection ended before an answer")]
    Call(#[source] reqwest::Error),
}

/// Looks a host name up.
type Resolve = dyn Fn(String, u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Calls URLs that tenants type. Cheap to clone.
#[derive(Clone)]
pub struct TenantEgress {
    resolve: Arc<Resolve>,
    listed: Arc<[Origin]>,
}

impl fmt::Debug for TenantEgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantEgress").field("listed", &self.listed).finish_non_exhaustive()
    }
}

/// A host and where it leads, looked at.
#[derive(Debug)]
struct Pinned {
    host: String,
    addresses: Vec<SocketAddr>,
}

impl TenantEgress {
    /// A client that also calls what the operator listed.
    pub fn new(listed: &[Url]) -> Self {
        Self::resolving(listed, |host, port| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
        })
    }

    /// The same with a name look-up of one's own.
    pub fn resolving(
        listed: &[Url],
        resolve: impl Fn(String, u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self { resolve: Arc::new(resolve), listed: listed.iter().map(Url::origin).collect() }
    }

    /// Whether a URL may be called now. It is looked at again when it is.
    ///
    /// # Errors
    /// [`TenantEgressError`].
    pub async fn check(&self, url: &Url) -> Result<(), TenantEgressError> {
        let pinned = tokio::time::timeout(TENANT_DEADLINE, self.pin(url));
        pinned.await.map_err(|_| TenantEgressError::Late)?.map(drop)
    }

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
        let call = async {
            let pinned = self.pin(url).await?;
            send(pinned, url, headers, body).await
        };
        tokio::time::timeout(TENANT_DEADLINE, call).await.map_err(|_| TenantEgressError::Late)?
    }

    /// Steps 1 and 2.
    async fn pin(&self, url: &Url) -> Result<Pinned, TenantEgressError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TenantEgressError::Form);
        }
        let is_listed = self.listed.contains(&url.origin());
        if url.scheme() != "https" && !is_listed {
            return Err(TenantEgressError::Form);
        }
        let port = url.port_or_known_default().ok_or(TenantEgressError::Form)?;
        let pinned = match url.host().ok_or(TenantEgressError::Form)? {
            Host::Ipv4(address) => Pinned::literal(address.into(), port),
            Host::Ipv6(address) => Pinned::literal(address.into(), port),
            Host::Domain(name) => {
                let found = (self.resolve)(name.to_owned(), port).await;
                Pinned { host: name.to_owned(), addresses: found.map_err(TenantEgressError::Unknown)? }
            }
        };
        if pinned.addresses.is_empty() {
            let nothing = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(TenantEgressError::Unknown(nothing));
        }
        let are_public = pinned.addresses.iter().all(|address| is_public(address.ip()));
        if are_public || is_listed { Ok(pinned) } else { Err(TenantEgressError::NotPublic) }
    }
}

impl Pinned {
    fn literal(address: IpAddr, port: u16) -> Self {
        Self { host: address.to_string(), addresses: vec![SocketAddr::new(address, port)] }
    }
}

/// Steps 3 and 4. A client per call: its one host name leads to the addresses that were looked at.
async fn send(
    pinned: Pinned,
    url: &Url,
    headers: http::HeaderMap,
    body: Vec<u8>,
) -> Result<StatusCode, TenantEgressError> {
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .retry(reqwest::retry::never())
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .user_agent(concat!("applink-webhooks/", env!("CARGO_PKG_VERSION")))
        .resolve_to_addrs(&pinned.host, &pinned.addresses)
        .build()
        .map_err(TenantEgressError::Call)?;
    let request = client.post(url.clone()).headers(headers).body(body);
    let answer = request.send().await.map_err(|error| {
        let error = error.without_url();
        if error.is_connect() { TenantEgressError::Connect(error) } else { TenantEgressError::Call(error) }
    })?;
    Ok(answer.status())
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

/// Only 2000::/3 is public; inside it, what embeds an IPv4 address (6to4, Teredo, ISATAP) or is for documentation is
/// not. NAT64's prefixes lie outside it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(embedded) = address.to_ipv4_mapped() {
        return is_public_v4(embedded);
    }
    let [first, second, _, _, fifth, sixth, ..] = address.segments();
    let global = (0x2000..0x4000).contains(&first);
    let isatap = (fifth == 0 || fifth == 0x200) && sixth == 0x5efe;
    let special = first == 0x2002
        || (first == 0x2001 && second < 0x200)
        || (first == 0x2001 && second == 0xdb8)
        || (first == 0x3fff)
        || isatap;
    global && !special
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn only_public_addresses_count() {
        for address in
            ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "198.20.0.1", "100.128.0.1"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in PRIVATE_ADDRESSES {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    const PRIVATE_ADDRESSES: [&str; 46] = [
        // Loopback, this network, unspecified.
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "::1",
        "::",
        // Private, shared, unique local.
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "fc00::1",
        "fdff::1",
        // Link-local and the metadata services of clouds.
        "169.254.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "192.0.0.192",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        // Multicast, broadcast, reserved, benchmarking, documentation.
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "240.0.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "2001:db8::1",
        "3fff::1",
        "ff02::1",
        // IPv4 inside IPv6: mapped, compatible, NAT64 (both prefixes), 6to4, Teredo, ISATAP.
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2606:4700::5efe:7f00:1",
    ];

    /// Every name leads to the addresses given.
    fn leading_to(addresses: &'static [&'static str]) -> TenantEgress {
        TenantEgress::resolving(&[], move |_, port| {
            let found = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), port)).collect();
            Box::pin(async move { Ok(found) })
        })
    }

    async fn refusal(egress: &TenantEgress, url: &str) -> TenantEgressError {
        let url: Url = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        egress.check(&url).await.expect_err(url.as_str())
    }

    /// Promise 43's corpus of spellings: none of them is called.
    #[tokio::test]
    async fn every_spelling_of_a_private_address_is_refused() {
        let egress = TenantEgress::new(&[]);
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "0",
            "0.0.0.0",
            "１２７.０.０.１",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "10.0.0.1",
            "192.168.1.1",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[64:ff9b::169.254.169.254]",
            "[64:ff9b:1::10.0.0.1]",
            "[2002:a9fe:a9fe::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
        ] {
            let error = refusal(&egress, &format!("https://{host}/hook")).await;
            assert!(
                matches!(error, TenantEgressError::NotPublic | TenantEgressError::Unknown(_)),
                "{host}: {error}"
            );
            assert!(
                matches!(error, TenantEgressError::NotPublic) || host.to_lowercase().starts_with("localhost"),
                "{host}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_any_private_address_is_refused() {
        for addresses in [
            &["10.0.0.1"][..],
            &["8.8.8.8", "127.0.0.1"],
            &["2606:4700::1111", "::1"],
            &["::ffff:10.0.0.1"],
            &["64:ff9b::a9fe:a9fe"],
        ] {
            let error = refusal(&leading_to(addresses), "https://hooks.example/").await;
            assert!(matches!(error, TenantEgressError::NotPublic), "{addresses:?}: {error}");
            assert!(!error.to_string().contains("10."), "the address is not told: {error}");
        }
        leading_to(&["8.8.8.8"]).check(&"https://hooks.example/".parse().unwrap()).await.unwrap();
        assert!(matches!(
            refusal(&leading_to(&[]), "https://h.example/").await,
            TenantEgressError::Unknown(_)
        ));
    }

    #[tokio::test]
    async fn only_https_without_a_user_name_is_called() {
        for url in [
            "http://8.8.8.8/",
            "https://user@8.8.8.8/",
            "https://:pw@8.8.8.8/",
            "ftp://8.8.8.8/",
            "file:///etc/passwd",
            "data:,x",
            "gopher://8.8.8.8/",
        ] {
            let error = refusal(&leading_to(&["8.8.8.8"]), url).await;
            assert!(matches!(error, TenantEgressError::Form), "{url}: {error}");
        }
    }

    /// DNS rebinding: the second answer is another one, and nobody asks for it.
    #[tokio::test]
    async fn a_name_is_looked_up_once_and_the_connection_goes_where_it_led() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let served = listener.local_addr().unwrap();
        let routes = axum::Router::new().fallback(|| async { StatusCode::NO_CONTENT });
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let url: Url = format!("http://hooks.invalid:{}/", served.port()).parse().unwrap();
        let egress = TenantEgress::resolving(std::slice::from_ref(&url), move |_, _| {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let found = if first { served } else { SocketAddr::from(([127, 0, 0, 2], 1)) };
            Box::pin(async move { Ok(vec![found]) })
        });
        let status = egress.post(&url, http::HeaderMap::new(), Vec::new()).await.unwrap();
        assert_eq!((status, asked.load(Ordering::SeqCst)), (StatusCode::NO_CONTENT, 1));
    }

    #[tokio::test]
    async fn a_listed_origin_is_called_and_no_other_port_or_scheme_of_it() {
        let egress = TenantEgress::new(&["http://127.0.0.1:4000".parse().unwrap()]);
        egress.check(&"http://127.0.0.1:4000/any/path".parse().unwrap()).await.unwrap();
        for url in ["http://127.0.0.1:4001/", "http://127.0.0.2:4000/", "http://localhost:4000/"] {
            assert!(matches!(refusal(&egress, url).await, TenantEgressError::Form), "{url}");
        }
        assert!(matches!(refusal(&egress, "https://127.0.0.1:4000/").await, TenantEgressError::NotPublic));
    }

    proptest::proptest! {
        /// Whatever 32 bits a host is made of, in whatever base, it is called only when the address is public.
        #[test]
        fn no_number_hides_a_private_address(address in proptest::num::u32::ANY) {
            let plain = Ipv4Addr::from(address);
            for host in [format!("{address}"), format!("{address:#x}"), format!("0{address:o}"), plain.to_string()] {
                let url: Url = format!("https://{host}/").parse().unwrap();
                let called = futures_util::FutureExt::now_or_never(TenantEgress::new(&[]).pin(&url)).unwrap().is_ok();
                proptest::prop_assert_eq!(called, is_public_v4(plain), "{}", host);
            }
        }
    }
}
