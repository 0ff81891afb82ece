//! Addresses, which are checked once, when they enter.

pub(crate) mod homeserver;
pub(crate) mod server_name;
pub(crate) mod user_id;
