//! The mesh from outside: real connections, a fake app behind it, a fake control plane beside it.

#[cfg(test)]
mod integration {
    mod allowed_hosts;
    mod app;
    mod binding;
    mod bypass;
    mod connections;
    mod control_plane;
    mod data_actions;
    mod draining;
    mod failures;
    mod fidelity;
    mod headers;
    mod http2;
    mod kept;
    mod limits;
    mod logs;
    mod metrics;
    mod packaging;
    mod process;
    mod raw;
    mod reload;
    mod rolling;
    mod signer;
    mod smuggling;
    mod soak;
    mod stack;
    mod streaming;
    mod tokens;
    #[cfg(feature = "otel")]
    mod traces;
    mod trust;
    mod upgrades;
}
