//! Every public type can go where a driver needs it: to another thread, into a task, and through a caught panic.

use std::{
    collections::BTreeSet,
    panic::{RefUnwindSafe, UnwindSafe},
};

use crate::public_api::LIST;

// The compiler implements these traits by itself, and a private field can take each of them away.
fn goes_to_threads_and_tasks<T: Send + Sync + Unpin + 'static>() {}
fn goes_through_a_panic<T: UnwindSafe + RefUnwindSafe>() {}

/// Checks the types, and returns their paths without parameters.
macro_rules! checked {
    ($($type:ty,)*) => {{
        $(goes_to_threads_and_tasks::<$type>();)*
        $(goes_through_a_panic::<$type>();)*
        [$(stringify!($type)),*].map(|path| path.split('<').next().unwrap().trim().to_owned())
    }};
}

#[test]
fn every_public_type_has_the_auto_traits() {
    let mut checked = BTreeSet::from(checked![
        matrix_login::AccessToken,
        matrix_login::Action,
        matrix_login::BodyCollector,
        matrix_login::Choice,
        matrix_login::CodeVerifier,
        matrix_login::Credentials,
        matrix_login::DeviceId,
        matrix_login::Discovered,
        matrix_login::DiscoveryFailure,
        matrix_login::DiscoveryOutcome,
        matrix_login::DriveError<std::fmt::Error>,
        matrix_login::Endpoint,
        matrix_login::Error,
        matrix_login::Fields,
        matrix_login::ForeignCallback,
        matrix_login::Homeserver,
        matrix_login::HttpsUrl,
        matrix_login::IdentityProvider,
        matrix_login::InvalidInput,
        matrix_login::Location,
        matrix_login::LoginFlow,
        matrix_login::LoginSettings,
        matrix_login::LoginToken,
        matrix_login::LoginType,
        matrix_login::LoginTypes,
        matrix_login::Meaning,
        matrix_login::OAuthClient,
        matrix_login::Password,
        matrix_login::Pause<'static>,
        matrix_login::Redirect,
        matrix_login::Refresh,
        matrix_login::RefreshToken,
        matrix_login::RequestId,
        matrix_login::ResponseError,
        matrix_login::RetryAfter,
        matrix_login::ServerAddress,
        matrix_login::ServerError,
        matrix_login::ServerName,
        matrix_login::Session,
        matrix_login::SessionError,
        matrix_login::ShownCode,
        matrix_login::Suspended,
        matrix_login::TooLong,
        matrix_login::Typed,
        matrix_login::UserId,
        matrix_login::UserIdentifier,
        matrix_login::Verdict,
        matrix_login::Wait,
        matrix_login::endpoint::Endpoint,
        matrix_login::endpoint::callback::ForeignCallback,
        matrix_login::endpoint::get_token::Response,
        matrix_login::endpoint::login::Response,
        matrix_login::endpoint::login_types::LoginType,
        matrix_login::endpoint::login_types::LoginTypes,
        matrix_login::endpoint::logout::Response,
        matrix_login::endpoint::oauth::auth_metadata::AuthMetadata,
        matrix_login::endpoint::oauth::authorization::AuthorizationCode,
        matrix_login::endpoint::oauth::authorization::Response,
        matrix_login::endpoint::oauth::device_authorization::Response,
        matrix_login::endpoint::oauth::registration::Response,
        matrix_login::endpoint::oauth::revocation::Response,
        matrix_login::endpoint::oauth::revocation::Token<'static>,
        matrix_login::endpoint::oauth::token::DeviceCode,
        matrix_login::endpoint::oauth::token::Grant<'static>,
        matrix_login::endpoint::oauth::token::Response,
        matrix_login::endpoint::refresh::Response,
        matrix_login::endpoint::uia::UiaChallenge,
        matrix_login::endpoint::versions::Response,
        matrix_login::endpoint::well_known::DiscoveryFailure,
        matrix_login::endpoint::well_known::DiscoveryOutcome,
        matrix_login::endpoint::well_known::Response,
        matrix_login::endpoint::whoami::Response,
    ]);
    // An `http::Request` does not go through a caught panic.
    goes_to_threads_and_tasks::<matrix_login::Step<'static>>();
    checked.insert("matrix_login::Step".to_owned());
    let listed = LIST.lines().filter_map(|line| {
        let item = line.trim_start_matches("#[non_exhaustive] ");
        let path = ["struct", "enum", "union"].iter().find_map(|kind| item.strip_prefix(&format!("pub {kind} ")))?;
        Some(path.split(['<', '(']).next().unwrap().to_owned())
    });
    let listed = listed.collect();
    let differences: Vec<_> = checked.symmetric_difference(&listed).collect();
    assert!(differences.is_empty(), "on one list only: {differences:?}");
}
