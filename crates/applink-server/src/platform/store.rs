//! The tables `platform_…`.

pub mod addons;
pub mod apps;
pub mod config_vars;
pub mod people;
pub mod releases;
pub mod teams;
