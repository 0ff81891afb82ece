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
            let target = Url::parse(&request.uri().to_string()).expect("a request has an absolute URL");
            let home = flow.homeserver().map(|homeserver| homeserver.url().origin());
            assert!(home.is_none_or(|home| home == target.origin()));
        }
        Step::Browse(url) => {
            assert_eq!(flow.homeserver().map(|homeserver| homeserver.url().origin()), Some(url.origin()));
            assert!(!format!("{:?} {flow:?}", flow.step()).contains("redirectUrl"));
        }
        step => panic!("a flow was suspended at {step:?}"),
    }
});
