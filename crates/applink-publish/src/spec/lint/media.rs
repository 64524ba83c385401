//! Media types.

/// What External Services sends and reads.
const SUPPORTED: [&str; 3] = ["application/json", "application/x-www-form-urlencoded", "text/plain"];

/// Whether a media type is one an org speaks; parameters such as a character set do not count.
pub(super) fn is_supported(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    SUPPORTED.iter().any(|supported| essence.eq_ignore_ascii_case(supported))
}

/// Whether a media type matches everything, as generators write it for responses.
pub(super) fn is_wildcard(media_type: &str) -> bool {
    matches!(media_type.trim(), "*/*" | "application/*")
}
