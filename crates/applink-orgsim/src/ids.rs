//! Record ids: fifteen case-sensitive characters, and the eighteen-character form whose last three
//! are a checksum of the letters' case, so that it survives case-folding.
//!
//! Layout: three characters of key prefix (which sObject), three of instance (which org), nine digits
//! of a counter in base 62. Salesforce documents only the prefix and the checksum.

const CHECKSUM_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SHORT_LENGTH: usize = 15;
const LONG_LENGTH: usize = 18;
const COUNTER_DIGITS: usize = 9;

/// Builds the 18-character id of the `counter`th record with a key prefix in an instance.
///
/// `prefix` and `instance` are three ASCII letters or digits each; longer ones are cut, shorter ones
/// filled with `0`.
pub fn mint(prefix: &str, instance: &str, counter: u64) -> String {
    let mut short = String::with_capacity(LONG_LENGTH);
    for part in [prefix, instance] {
        short.extend(part.chars().filter(char::is_ascii_alphanumeric).chain("000".chars()).take(3));
    }
    short.push_str(&base62(counter));
    let checksum = checksum(&short);
    short.push_str(&checksum);
    short
}

/// The 18-character form of a 15- or 18-character id; `None` when `text` is neither.
///
/// An 18-character id is compared without regard to case, so its letters' case is restored from the
/// checksum. One whose checksum doesn't fit any case is no id.
pub fn normalize(text: &str) -> Option<String> {
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match text.len() {
        SHORT_LENGTH => Some(format!("{text}{}", checksum(text))),
        LONG_LENGTH => restore_case(text),
        _ => None,
    }
}

/// The first fifteen characters of an id, as old SOAP calls and access tokens use them.
pub fn short(id: &str) -> &str {
    id.get(..SHORT_LENGTH).unwrap_or(id)
}

/// The key prefix of an id: which sObject it belongs to.
pub fn key_prefix(id: &str) -> &str {
    id.get(..3).unwrap_or(id)
}

fn restore_case(long: &str) -> Option<String> {
    let (letters, marks) = long.split_at_checked(SHORT_LENGTH)?;
    let mut id = String::with_capacity(LONG_LENGTH);
    for (chunk, mark) in letters.as_bytes().chunks(5).zip(marks.bytes()) {
        let mark = mark.to_ascii_uppercase();
        let case = CHECKSUM_ALPHABET.iter().position(|candidate| *candidate == mark)?;
        for (index, byte) in chunk.iter().enumerate() {
            let upper = case & (1 << index) != 0;
            if upper && !byte.is_ascii_alphabetic() {
                return None;
            }
            id.push(char::from(if upper { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }));
        }
    }
    id.push_str(&marks.to_ascii_uppercase());
    Some(id)
}

fn checksum(short: &str) -> String {
    short.as_bytes().chunks(5).map(chunk_checksum).collect()
}

fn chunk_checksum(chunk: &[u8]) -> char {
    let upper_bits = chunk
        .iter()
        .enumerate()
        .filter(|(_, byte)| byte.is_ascii_uppercase())
        .fold(0_usize, |bits, (index, _)| bits | (1 << index));
    char::from(CHECKSUM_ALPHABET.get(upper_bits).copied().unwrap_or(b'A'))
}

fn base62(mut number: u64) -> String {
    let mut digits = Vec::with_capacity(COUNTER_DIGITS);
    for _ in 0..COUNTER_DIGITS {
        let digit = usize::try_from(number % 62).unwrap_or_default();
        digits.push(char::from(BASE62.get(digit).copied().unwrap_or(b'0')));
        number /= 62;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_ids_get_their_known_checksums() {
        for (short_id, long_id) in [
            ("00DSB00000VAyPF", "00DSB00000VAyPF2A1"),
            ("005DS00000yYLD1", "005DS00000yYLD1YAO"),
            ("7508Z00000lSXvx", "7508Z00000lSXvxQAG"),
        ] {
            assert_eq!(normalize(short_id).as_deref(), Some(long_id));
            assert_eq!(short(long_id), short_id);
        }
    }

    #[test]
    fn what_is_no_id_stays_none() {
        for text in ["", "001", "00DSB00000VAyP-", "00DSB00000VAyPF2A", "00DSB00000VAyPF!!!", "ÄÄÄÄÄÄÄÄÄ"]
        {
            assert_eq!(normalize(text), None, "{text}");
        }
        assert_eq!(normalize("111111111111111555"), None, "digits have no upper case");
    }

    proptest! {
        #[test]
        fn an_id_survives_case_folding(counter in 0_u64..62_u64.pow(9), prefix in "[0-9a-zA-Z]{3}") {
            let id = mint(&prefix, "Sm1", counter);
            prop_assert_eq!(id.len(), 18);
            let lowered = normalize(&id.to_lowercase());
            let raised = normalize(&id.to_uppercase());
            let from_short = normalize(short(&id));
            prop_assert_eq!(lowered.as_deref(), Some(id.as_str()));
            prop_assert_eq!(raised.as_deref(), Some(id.as_str()));
            prop_assert_eq!(from_short.as_deref(), Some(id.as_str()));
            prop_assert_eq!(key_prefix(&id), prefix.as_str());
        }

        #[test]
        fn normalize_never_panics(text in "\\PC*") {
            let _ = normalize(&text);
        }
    }
}
