//! The org over real HTTP and its data over real SQLite: every test has its own org, clock and randomness.

#[cfg(test)]
mod integration {
    // A whole running org.
    mod support;

    mod agents;
    mod callbacks;
    mod client_policies;
    mod control;
    mod data_cloud;
    mod deploy;
    mod invoke;
    mod jwt_bearer;
    mod lifecycle;
    mod long_lists;
    mod pages;
    mod pages_in_a_browser;
    mod sessions;
    mod token_faults;
    mod web_server_flow;

    // Its data alone.
    mod data;

    mod blobs;
    mod bulk;
    mod describe;
    mod queries;
    mod records;
    mod rest;
    mod rights;
}
