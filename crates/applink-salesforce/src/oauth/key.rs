//! JWT bearer, step 1: the private key, out of a PEM text.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// DER of the object identifier of RSA keys, 1.2.840.113549.1.1.1.
const RSA_OID: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// How far into a PKCS#8 document the algorithm may stand: it follows a length and a version.
const PKCS8_HEAD: usize = 32;

/// An RSA private key, parsed once. Signing takes about a millisecond at 2048 bits and seven at 4096: keep it
/// off the threads that serve requests.
pub struct SigningKey(RsaKeyPair);

/// A text is not a private key we can sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No `-----BEGIN …-----` block, or a damaged one.
    #[error("the private key is not PEM")]
    NotPem,
    /// A certificate or a public key.
    #[error("the PEM holds no private key, but a certificate or a public key")]
    NotPrivate,
    /// Protected with a passphrase.
    #[error("the private key is encrypted with a passphrase")]
    Encrypted,
    /// An elliptic-curve or other key: Salesforce takes RS256 only.
    #[error("the private key is not an RSA key")]
    NotRsa,
    /// Fewer than 2048 bits.
    #[error("the RSA key has fewer than 2048 bits")]
    TooSmall,
    /// RSA, but the numbers don't make a key.
    #[error("the RSA key is damaged")]
    Damaged,
}

impl KeyError {
    /// What to do about it, in one sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Self::NotPem => {
                "Give the text of server.key, from `-----BEGIN PRIVATE KEY-----` to `-----END PRIVATE KEY-----`."
            }
            Self::NotPrivate => {
                "Give the private key (server.key), and upload the certificate (server.crt) to the org."
            }
            Self::Encrypted => "Remove the passphrase: openssl rsa -in server.key -out server.open.key",
            Self::NotRsa | Self::TooSmall | Self::Damaged => {
                "Make a new key and upload its certificate to the org: openssl req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.crt"
            }
        }
    }
}

impl SigningKey {
    /// Reads a PKCS#1 (`RSA PRIVATE KEY`) or PKCS#8 (`PRIVATE KEY`) block; other blocks beside it, such as the
    /// certificate, are skipped.
    ///
    /// # Errors
    /// [`KeyError`], which never quotes the text.
    pub fn from_pem(text: &SecretString) -> Result<Self, KeyError> {
        let text = text.expose_secret();
        // An encrypted key's headers may defeat the parser: look first.
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let blocks = pem::parse_many(text).map_err(|_| KeyError::NotPem)?;
        if blocks.is_empty() {
            return Err(KeyError::NotPem);
        }
        let tagged =
            blocks.into_iter().map(|block| (block.tag().to_owned(), Zeroizing::new(block.into_contents())));
        let private = tagged.into_iter().find(|(tag, _)| tag.ends_with("PRIVATE KEY"));
        let (tag, der) = private.ok_or(KeyError::NotPrivate)?;
        key_of(&tag, &der).map(Self)
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> usize {
        self.0.public_modulus_len() * 8
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        // The randomness only blinds the computation; the signature is the same every time.
        let random = SystemRandom::new();
        self.0.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| KeyError::Damaged)?;
        Ok(signature)
    }
}

fn key_of(tag: &str, der: &[u8]) -> Result<RsaKeyPair, KeyError> {
    let parsed = match tag {
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(der),
        "PRIVATE KEY" if names_rsa(der) => RsaKeyPair::from_pkcs8(der),
        _ => return Err(KeyError::NotRsa),
    };
    parsed.map_err(|refused| {
        let too_small = aws_lc_rs::error::KeyRejected::to_string(&refused) == "TooSmall";
        if too_small { KeyError::TooSmall } else { KeyError::Damaged }
    })
}

fn names_rsa(pkcs8: &[u8]) -> bool {
    pkcs8.get(..PKCS8_HEAD).is_some_and(|head| head.windows(RSA_OID.len()).any(|window| window == RSA_OID))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(RSA {})", self.bits())
    }
}
