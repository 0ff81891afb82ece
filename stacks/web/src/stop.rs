//! The signal to stop. After it, the program accepts no more requests, and finishes the requests that it has. A
//! callback counts only once, so a login that was cut off there could only begin again.

use std::io;

#[cfg(unix)]
pub fn signalled() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
pub fn signalled() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // Without the signal there is nothing to wait for.
        let _ = tokio::signal::ctrl_c().await;
    })
}
