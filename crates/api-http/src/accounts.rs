//! One's own account: registering, signing in and out, sessions, API keys.

pub mod api_keys;
pub mod registration;
pub mod sessions;
pub mod tokens;
