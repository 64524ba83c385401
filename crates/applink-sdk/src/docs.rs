//! Guides.

pub mod authorizations {
    #![doc = include_str!("docs/authorizations.md")]
}
pub mod callbacks {
    #![doc = include_str!("docs/callbacks.md")]
}
pub mod data {
    #![doc = include_str!("docs/data.md")]
}
pub mod data_cloud {
    #![doc = include_str!("docs/data_cloud.md")]
}
pub mod invocations {
    #![doc = include_str!("docs/invocations.md")]
}
