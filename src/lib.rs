//! Logs in to a Matrix homeserver without doing any I/O.
#![warn(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail"))]

mod choice;
pub mod endpoint;
mod error;
mod flow;
mod homeserver;
mod identifier;
mod login_types;
mod macros;
mod retry_after;
mod secret;
mod server_name;
mod session;
mod settings;
mod user_id;

pub use self::{
    choice::Choice,
    endpoint::MAX_BODY,
    error::{DiscoveryFailure, DiscoveryOutcome, Error, ServerError},
    flow::{Discovered, LoginFlow, Step, Suspended, Wait},
    homeserver::Homeserver,
    identifier::UserIdentifier,
    login_types::{IdentityProvider, LoginType, LoginTypes},
    retry_after::RetryAfter,
    secret::{AccessToken, Fields, LoginToken, Password, RefreshToken},
    server_name::ServerName,
    session::Session,
    settings::LoginSettings,
    user_id::UserId,
};
