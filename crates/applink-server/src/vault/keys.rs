//! The master key and what is derived from it.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// Hexadecimal digits of a key id: enough to tell a handful of keys apart, nothing of the key itself.
const ID_DIGITS: usize = 16;

/// The text is not a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Not base64.
    #[error("the master key must be base64: make one with `openssl rand -base64 32`")]
    NotBase64,
    /// Not 256 bits.
    #[error("the master key must have 32 bytes, this one has {0}: make one with `openssl rand -base64 32`")]
    Length(usize),
}

/// 256 random bits that seal every data key.
#[derive(Clone)]
pub struct MasterKey {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// Reads 32 bytes of base64, as `openssl rand -base64 32` writes them.
    ///
    /// # Errors
    /// [`MasterKeyError`], which never repeats the text.
    pub fn parse(text: &SecretString) -> Result<Self, MasterKeyError> {
        let decoded = STANDARD.decode(text.expose_secret().trim()).map_err(|_| MasterKeyError::NotBase64)?;
        let decoded = Zeroizing::new(decoded);
        let bytes =
            <[u8; 32]>::try_from(decoded.as_slice()).map_err(|_| MasterKeyError::Length(decoded.len()))?;
        Ok(Self::from_bytes(bytes))
    }

    /// A key of 32 random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut key = Self { id: String::new(), bytes: Zeroizing::new(bytes) };
        let mut id = hex(key.derive(b"applink master key id").as_slice());
        id.truncate(ID_DIGITS);
        key.id = id;
        key
    }

    /// Names the key without telling anything about it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A 256-bit key for one purpose (HMAC-SHA256 as a PRF).
    pub fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes.as_slice()), purpose);
        let mut derived = Zeroizing::new([0; 32]);
        for (to, from) in derived.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        derived
    }

    /// Nonce, ciphertext and tag of a data key.
    pub(super) fn seal(&self, data_key: &[u8; 32], nonce: [u8; NONCE_LEN], place: &str) -> Option<Vec<u8>> {
        let mut ciphertext = data_key.to_vec();
        let aad = Aad::from(format!("{place}|{}", self.id));
        let key = cipher(&self.bytes)?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut ciphertext).ok()?;
        Some(nonce.into_iter().chain(ciphertext).collect())
    }

    /// The reverse of [`MasterKey::seal`]; `None` when anything was altered.
    pub(super) fn open(&self, sealed: &[u8], place: &str) -> Option<Zeroizing<[u8; 32]>> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(format!("{place}|{}", self.id));
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let plain = cipher(&self.bytes)?.open_in_place(nonce, aad, &mut buffer).ok()?;
        Some(Zeroizing::new(<[u8; 32]>::try_from(&*plain).ok()?))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// The master keys of a process. Which of them seals is written in the database, so that processes agree.
#[derive(Clone, Debug)]
pub struct MasterKeys(Vec<MasterKey>);

impl MasterKeys {
    /// `preferred` is the one a rotation leads to; `others` open what they sealed.
    pub fn new(preferred: MasterKey, others: Vec<MasterKey>) -> Self {
        let mut keys = Self(vec![preferred]);
        keys.add(others);
        keys
    }

    /// None: for a server that gets them from a key service.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Reads one key per line, the preferred one first.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn parse(text: &SecretString) -> Result<Self, MasterKeyError> {
        let lines = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<MasterKey> =
            lines.map(|line| MasterKey::parse(&line.into())).collect::<Result<_, _>>()?;
        let mut keys = keys.into_iter();
        let preferred = keys.next().ok_or(MasterKeyError::Length(0))?;
        Ok(Self::new(preferred, keys.collect()))
    }

    /// Adds keys that are not there yet, behind those that are.
    pub fn add(&mut self, others: Vec<MasterKey>) {
        for other in others {
            if self.get(&other.id).is_none() {
                self.0.push(other);
            }
        }
    }

    /// The one a rotation leads to, and the one a new database begins with.
    pub fn preferred(&self) -> Option<&MasterKey> {
        self.0.first()
    }

    /// Any of them, by id.
    pub fn get(&self, id: &str) -> Option<&MasterKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// All of them, the preferred one first.
    pub fn all(&self) -> &[MasterKey] {
        &self.0
    }

    /// Ids of all of them, the preferred one first.
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|key| key.id.clone()).collect()
    }

    /// What each of them gives for one purpose.
    pub fn derive_all(&self, purpose: &str) -> DerivedKeys {
        let current = self.preferred().map(|key| key.id.clone()).unwrap_or_default();
        let derived = self.0.iter().map(|key| (key.id.clone(), key.derive(purpose.as_bytes())));
        DerivedKeys { current, all: derived.collect() }
    }
}

/// Keys for one purpose, by the master key they were derived from.
#[derive(Clone)]
pub struct DerivedKeys {
    /// The one for new things.
    pub(crate) current: String,
    pub(crate) all: HashMap<String, Zeroizing<[u8; 32]>>,
}

impl fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}

pub(crate) fn cipher(bytes: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_has_exactly_32_bytes_of_base64() {
        let good = STANDARD.encode([7; 32]);
        let key = MasterKey::parse(&format!("{good}\n").into()).unwrap();
        assert_eq!(key.id().len(), ID_DIGITS);
        assert!(!format!("{key:?}").contains(&good));
        assert_eq!(
            MasterKey::parse(&STANDARD.encode([7; 31]).into()).unwrap_err(),
            MasterKeyError::Length(31)
        );
        assert_eq!(MasterKey::parse(&"not base64!".into()).unwrap_err(), MasterKeyError::NotBase64);
    }

    #[test]
    fn a_data_key_opens_only_in_its_place_and_under_its_master() {
        let master = MasterKey::from_bytes([1; 32]);
        let sealed = master.seal(&[9; 32], [3; NONCE_LEN], "a|b").unwrap();
        assert_eq!(*master.open(&sealed, "a|b").unwrap(), [9; 32]);
        assert!(master.open(&sealed, "a|c").is_none());
        assert!(MasterKey::from_bytes([2; 32]).open(&sealed, "a|b").is_none());
        assert!(master.open(&sealed[..5], "a|b").is_none());
        let mut flipped = sealed;
        flipped[20] ^= 1;
        assert!(master.open(&flipped, "a|b").is_none());
    }

    #[test]
    fn purposes_give_different_keys() {
        let master = MasterKey::from_bytes([1; 32]);
        assert_ne!(*master.derive(b"a"), *master.derive(b"b"));
    }
}
