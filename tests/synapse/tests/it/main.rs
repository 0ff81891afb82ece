//! Logins to a real Synapse, through the library and through the programs. `run.py` starts the servers for them.

mod browser;
mod browser_program;
mod device_grant;
mod device_program;
mod discovery;
mod late;
mod limits;
mod oauth;
mod oauth_server;
mod others;
mod page;
mod passwords;
mod program;
mod responses;
mod sessions;
mod sso;
mod stacks;
mod support;
mod uia;
