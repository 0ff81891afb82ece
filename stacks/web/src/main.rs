//! A web application where people log in to their homeservers, by the authorization code grant or single sign-on:
//! `cargo run --manifest-path stacks/web/Cargo.toml`
//!
//! Any number of instances can run behind one address, if they share a Redis and a key.

mod cookies;
mod failure;
mod login;
mod outgoing;
mod pages;
mod public;
mod random;
mod sessions;
mod site;
mod stop;
mod store;

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use axum_extra::extract::cookie::Key;
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Parser;
use matrix_login::OAuthClient;
use tokio::net::TcpListener;
use url::Url;

use crate::{cookies::Cookies, login::Logins, outgoing::Outgoing, sessions::Sessions, site::Site, store::Store};

/// A web application where people log in to their Matrix homeservers.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// The address at which browsers find this application, if it is another one: https://login.example.org.
    #[arg(long)]
    public_address: Option<Url>,

    /// The store that all instances share: redis://127.0.0.1. No other program may read or write it. Without this
    /// option, one instance keeps everything in memory.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis: Option<String>,

    /// The key that encrypts cookies, the same for all instances: 64 random bytes in base64. Without this option, the
    /// key is random.
    #[arg(long, env = "COOKIE_KEY", hide_env_values = true)]
    cookie_key: Option<String>,

    /// How long a person may take in the browser, in seconds.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    time_to_live: u64,

    /// Lets requests go to private addresses, and without https. Only for development, because strangers choose the
    /// addresses.
    #[arg(long)]
    allow_private: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let key = match options.cookie_key {
        Some(key) => {
            let key = STANDARD.decode(key.trim()).context("the cookie key is not base64")?;
            Key::try_from(&*key).context("the cookie key must be at least 64 bytes")?
        }
        None => Key::try_generate().context("no randomness for the cookie key")?,
    };
    let store = Store::open(options.redis.as_deref()).await.context("Redis cannot be used")?;
    let outgoing = Outgoing::new(options.allow_private)?;

    let listener = TcpListener::bind(options.listen).await?;
    let own = format!("http://{}", listener.local_addr()?);
    let public = options.public_address.map_or_else(|| Url::parse(&own), Ok)?;
    // OAuth 2.0 servers want a page with https, on the host of the callback.
    let mut client_uri = public.clone();
    let _ = client_uri.set_scheme("https");
    let site = Site {
        key,
        cookies: Cookies { secure: public.scheme() == "https" },
        logins: Logins {
            outgoing: outgoing.clone(),
            store: store.clone(),
            client: OAuthClient::new(client_uri.as_str().parse()?, "Login on the web"),
            callback: public.join(site::CALLBACK)?,
            time_to_live: Duration::from_secs(options.time_to_live),
        },
        sessions: Sessions { outgoing, store },
    };
    let signalled = stop::signalled()?;
    println!("listening on {own}");
    axum::serve(listener, site::router(site)).with_graceful_shutdown(signalled).await?;
    Ok(())
}
