//! The program as people use it, with a Redis and a scripted homeserver. `redis-server` must be installed.

mod addresses;
mod browser;
mod homeserver;
mod logins;
mod program;
