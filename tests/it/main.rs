//! Logins told as stories, against a scripted homeserver. Each module tests one behaviour. No test needs a network or a
//! clock.
#![allow(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::needless_pass_by_value,
    reason = "a program of tests has no API and does I/O of its own, and a story reads better without ceremony"
)]

#[path = "../support/mod.rs"]
mod support;

mod accessors;
mod account_management;
mod account_program;
mod addresses;
mod again;
mod at_once;
mod auth_metadata;
mod authorization;
mod auto_traits;
mod best_way;
mod bodies;
mod browser_program;
mod chapter;
mod code_grant;
mod content_encoding;
mod cursor;
mod demo_homeserver;
mod device_authorization;
mod device_grant;
mod device_id;
mod device_program;
mod discovery;
mod documents;
mod drive;
mod driver;
mod get_token;
mod granted;
mod https_url;
mod identifiers;
mod late_responses;
mod layers;
mod location;
mod login_program;
mod login_request;
mod login_response;
mod login_types;
mod logout;
mod messages;
mod mix_up;
mod oauth_client;
mod oauth_programs;
mod oauth_session;
mod one_line;
mod pkce;
mod plain_http;
mod polls;
mod properties;
mod proxies;
mod public_api;
mod rate_limits;
mod recipe;
mod refresh;
mod refusals;
mod registration;
mod retry_after;
mod revocation;
mod rules;
mod secrets;
mod session;
mod sso;
mod stored_session;
mod style;
mod suspend;
mod suspend_code_grant;
mod table_of_responses;
mod token;
mod transcripts;
mod typed;
mod verdict;
mod who_logs_in;
mod whoami;
