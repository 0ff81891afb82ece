//! Invariant: what is read as a suspended flow is written as it was read, and stays at its homeserver; errors quote nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matrix_login::{LoginFlow, Step, Suspended};
use url::Url;

fuzz_target!(|data: &[u8]| {
    let suspended = match serde_json::from_slice::<Suspended>(data) {
        Ok(suspended) => suspended,
        Err(error) => {
            assert!(!error.to_string().contains("redirectUrl"), "the URL, and with it the state, is quoted: {error}");
            return;
        }
    };
    let stored = serde_json::to_string(&suspended).expect("it serialises");
    let again: Suspended = serde_json::from_str(&stored).expect("it is read back");
    let flow = LoginFlow::resume(again);
    assert_eq!(serde_json::to_string(&flow.suspend()).expect("it serialises"), stored);
    match flow.step() {
        Step::Send(request) => {
            let target = Url::parse(&request.uri().to_string()).map(|target| target.origin());
            match flow.homeserver() {
                Some(homeserver) => assert_eq!(target, Ok(homeserver.url().origin())),
                // A server name follows its grammar; that no address can be made of it (a.1) shows when it is asked.
                None => assert_eq!(request.uri().scheme_str(), Some("https")),
            }
        }
        Step::Browse(url) => {
            assert_eq!(flow.homeserver().map(|homeserver| homeserver.url().origin()), Some(url.origin()));
            assert!(!format!("{:?}", flow.step()).contains('?'), "the query, and with it the state, is shown");
        }
        step => panic!("a flow was suspended at {step:?}"),
    }
});
