//! Names such as `applink-regular-78506`.

use applink_api::entropy::Entropy;

const ADJECTIVES: [&str; 64] = [
    "adaptable",
    "amber",
    "ample",
    "angular",
    "aquatic",
    "arched",
    "balanced",
    "bold",
    "brisk",
    "calm",
    "candid",
    "clear",
    "compact",
    "concave",
    "convex",
    "cool",
    "crisp",
    "cubic",
    "curved",
    "deep",
    "dense",
    "distant",
    "dry",
    "early",
    "elastic",
    "even",
    "fluid",
    "fresh",
    "gentle",
    "globular",
    "graceful",
    "granular",
    "horizontal",
    "level",
    "light",
    "linear",
    "lively",
    "lunar",
    "mellow",
    "modular",
    "narrow",
    "neat",
    "oblong",
    "open",
    "parallel",
    "plain",
    "polished",
    "quiet",
    "radial",
    "rapid",
    "regular",
    "round",
    "rugged",
    "shallow",
    "shaped",
    "silver",
    "smooth",
    "solid",
    "spherical",
    "steady",
    "sturdy",
    "symmetrical",
    "tidy",
    "vertical",
];

/// `applink-<adjective>-<five digits>`.
pub(crate) fn random(entropy: &Entropy) -> String {
    let index = usize::try_from(entropy.below(ADJECTIVES.len() as u64)).unwrap_or_default();
    let adjective = ADJECTIVES.get(index).copied().unwrap_or("regular");
    format!("applink-{adjective}-{}", 10_000 + entropy.below(90_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_an_adjective_and_five_digits() {
        let name = random(&Entropy::system());
        let parts: Vec<&str> = name.split('-').collect();
        assert_eq!(parts.len(), 3, "{name}");
        assert!(ADJECTIVES.contains(&parts[1]));
        assert_eq!(parts[2].len(), 5);
    }
}
