//! Logs in with `matrix-sdk`, which sends the requests itself: `login HOMESERVER USER PASSWORD`.

use std::error::Error;

use matrix_sdk::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(user), Some(password)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: login HOMESERVER USER PASSWORD".into());
    };
    let client = Client::builder().homeserver_url(server).build().await?;
    let granted = client.matrix_auth().login_username(user, &password).await?;
    println!("{} {}", granted.user_id, granted.device_id);
    Ok(())
}
