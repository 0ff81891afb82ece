//! The life of a bot: it restores its session or logs in, lets three tasks call the homeserver with it, and logs out.
//!
//! `cargo run --manifest-path stacks/bot/Cargo.toml -- https://matrix.example.org alice session.json 10`, with the
//! password in the variable `BOT_PASSWORD`.
//!
//! Each of the tasks calls ten times in this example. With `0` the bot logs in and stays logged in.

mod bot;
mod client;

use std::{env, sync::Arc};

use anyhow::Context;
use matrix_login::Password;
use tokio::task::JoinSet;

use self::bot::Bot;

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [homeserver, user, file, calls] = &arguments[..] else { anyhow::bail!("usage: HOMESERVER USER FILE CALLS") };
    let calls: u32 = calls.parse().context("CALLS must be a number")?;
    let password = env::var("BOT_PASSWORD").context("the password is expected in BOT_PASSWORD")?;
    let bot = Bot::start(homeserver.parse()?, user, Password::new(password), file.into()).await?;
    println!("logged in");
    if calls == 0 {
        return Ok(());
    }

    let bot = Arc::new(bot);
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let bot = Arc::clone(&bot);
        tasks.spawn(async move {
            for _ in 0..calls {
                let response = bot.get(WHOAMI).await?;
                anyhow::ensure!(response.status().is_success(), "status {}", response.status());
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    println!("called {} times", 3 * calls);
    let bot = Arc::into_inner(bot).context("a task still has the bot")?;
    bot.log_out().await?;
    println!("logged out");
    Ok(())
}
