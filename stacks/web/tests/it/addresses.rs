//! Addresses from strangers.

use std::{io::ErrorKind, net::TcpListener};

use crate::{browser::Browser, program::Instance};

#[tokio::test]
async fn a_private_address_is_refused_before_anything_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let instance = Instance::start(&[]).await;
    let browser = Browser::new();
    for address in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "http://127.0.0.1",
        "https://0x7f.1",
        "https://127.0.0.1",
        "https://2130706433",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://localhost",
    ] {
        browser.begin(&instance, &format!("{address}:{port}")).await.assert_refused(502, "private network");
    }
    let page = browser.begin(&instance, &format!("http://localhost:{port}")).await;
    page.assert_refused(502, "an address without https");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "something has connected");
}
