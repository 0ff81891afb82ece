//! Logins to a real Synapse, through the library and through the login program. `run.py` starts what they need.

mod answers;
mod browser;
mod discovery;
mod late;
mod limits;
mod oauth;
mod oauth_server;
mod others;
mod passwords;
mod program;
mod sessions;
mod sso;
mod uia;
