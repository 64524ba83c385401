//! A typed client of the AppLink API.
