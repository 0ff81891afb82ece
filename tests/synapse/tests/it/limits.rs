//! A real rate limit is waited out.

use std::sync::{Mutex, PoisonError};

use matrix_login::Step;
use matrix_login_synapse::{Story, password_choice};

/// Only one test at a time logs in to the homeserver with the limit: the logins of another test would count too.
pub static STRICT: Mutex<()> = Mutex::new(());

#[test]
fn a_rate_limit_is_waited_out() {
    let _turn = STRICT.lock().unwrap_or_else(PoisonError::into_inner);
    // The first login is allowed, and one of the next logins comes too soon.
    let mut limited = false;
    for name in ["limit_first", "limit_second", "limit_third"] {
        Story::at(name, "strict").tell(|login| {
            login.run().choose(password_choice("alice"));
            login.send().unwrap();
            if let Step::Wait(wait) = login.flow().step() {
                limited = true;
                assert_eq!(wait.error().errcode.as_deref(), Some("M_LIMIT_EXCEEDED"));
                assert!(wait.error().retry_after.is_some());
                assert_eq!(wait.attempt(), 1);
            }
            login.run().session();
        });
    }
    assert!(limited);
}
