//! Who logs in, and with which secret.

pub(crate) mod identifier;
pub(crate) mod secret;
