//! The certificate of the TLS port, and the authority that issued it.
//!
//! People make their tools trust the authority, so it is worth nothing beyond this stack: its certificate only permits
//! the stack's names, and its private key is dropped once it has signed this one certificate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use applink_api::secret::wire;
use applink_api::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// How long both certificates last.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// A certificate this close to its end is replaced at a start.
const SPARE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Clocks differ.
const SKEW: Duration = Duration::from_secs(3600);

/// A certificate with its key, and who vouches for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// What it is for.
    names: Vec<String>,
    /// Seconds since 1970.
    expires_at: i64,
    /// The authority's certificate; its key is gone.
    pub(crate) ca_pem: String,
    certificate_pem: String,
    #[serde(with = "wire")]
    key_pem: SecretString,
}

impl Identity {
    /// Makes an authority and a certificate for `names`.
    pub(super) fn issue(names: &[String], now: Timestamp) -> Result<Self, rcgen::Error> {
        let (ca_params, ca_key) = (authority(names, now)?, KeyPair::generate()?);
        let ca = ca_params.self_signed(&ca_key)?;
        let key = KeyPair::generate()?;
        let certificate = leaf(names, now)?.signed_by(&key, &Issuer::new(ca_params, ca_key))?;
        Ok(Self {
            names: names.to_vec(),
            expires_at: now.plus(LIFETIME).as_seconds(),
            ca_pem: ca.pem(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem().into(),
        })
    }

    /// Whether it is for these names and lasts.
    pub(super) fn is_good(&self, names: &[String], now: Timestamp) -> bool {
        self.names == names && now.plus(SPARE) < Timestamp::from_seconds(self.expires_at)
    }

    /// A server that has it. The stock CLI speaks HTTP/1.1 only.
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let unreadable = |error| rustls::Error::General(format!("the PEM text can't be read: {error}"));
        let certificate =
            CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).map_err(unreadable)?;
        let key =
            PrivateKeyDer::from_pem_slice(self.key_pem.expose_secret().as_bytes()).map_err(unreadable)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn authority(names: &[String], now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name = named("applink dev, one folder's own authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let permitted_subtrees = names.iter().map(|name| subtree(name)).collect();
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    valid_from(&mut params, now);
    Ok(params)
}

fn leaf(names: &[String], now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = named("applink dev");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    valid_from(&mut params, now);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn subtree(name: &str) -> GeneralSubtree {
    match name.parse() {
        Ok(IpAddr::V4(address)) => GeneralSubtree::IpAddress(CidrSubnet::V4(address.octets(), [255; 4])),
        Ok(IpAddr::V6(address)) => GeneralSubtree::IpAddress(CidrSubnet::V6(address.octets(), [255; 16])),
        Err(_) => GeneralSubtree::DnsName(name.to_owned()),
    }
}

fn valid_from(params: &mut CertificateParams, now: Timestamp) {
    let since_1970 = |time: Timestamp| Duration::from_secs(u64::try_from(time.as_seconds()).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_1970(now.minus(SKEW));
    params.not_after = epoch + since_1970(now.plus(LIFETIME));
}

#[cfg(test)]
mod tests {
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::UnixTime;

    use super::*;

    #[test]
    fn it_is_kept_until_its_last_week_or_until_other_names_are_needed() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let names = ["api.heroku.com".to_owned(), "127.0.0.1".to_owned()];
        let identity = Identity::issue(&names, now).unwrap();
        assert!(identity.is_good(&names, now));
        assert!(identity.is_good(&names, now.plus(LIFETIME - SPARE - SKEW)));
        assert!(!identity.is_good(&names, now.plus(LIFETIME - SPARE)));
        assert!(!identity.is_good(&names[..1], now));
        identity.server_config().unwrap();
    }

    /// What a program that trusts the authority makes of a certificate of it for `name`.
    fn verified(ca: CertificateParams, name: &str, now: Timestamp) -> Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.self_signed(&ca_key).unwrap().der().clone()).unwrap();
        let certificate = leaf(&[name.to_owned()], now).unwrap();
        let certificate = certificate.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let seconds = u64::try_from(now.as_seconds()).unwrap();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let name = name.to_owned().try_into().unwrap();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier.verify_server_cert(certificate.der(), &[], &name, &[], time).map(|_| ())
    }

    #[test]
    fn the_authority_vouches_for_its_names_only() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let names = ["api.heroku.com".to_owned(), "127.0.0.1".to_owned()];
        let ours = || authority(&names, now).unwrap();
        for name in &names {
            verified(ours(), name, now).unwrap();
        }
        for name in ["example.com", "heroku.com", "api.heroku.com.example", "127.0.0.2", "8.8.8.8"] {
            assert!(verified(ours(), name, now).is_err(), "{name}");
            let mut unconstrained = ours();
            unconstrained.name_constraints = None;
            verified(unconstrained, name, now).unwrap();
        }
    }

    #[test]
    fn only_its_own_key_is_kept() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let identity = Identity::issue(&["localhost".to_owned()], now).unwrap();
        let kept = serde_json::to_string(&identity).unwrap();
        assert_eq!(kept.matches("PRIVATE KEY").count(), 2, "one key, its first and its last line");
        assert!(!format!("{identity:?}").contains("PRIVATE KEY"));
    }
}
