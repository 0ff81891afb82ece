//! Threads that share a session refresh it once, whatever goes wrong. They use the recipe of the manual.

use std::{
    cell::Cell,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use http::{Request, Response};
use matrix_login::{Refresh, Session};
use serde_json::{Value, json};

use crate::{
    recipe::refresh,
    refresh::{session, stored},
    support::scenario::served,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The response of a homeserver that takes each refresh token once.
fn granted(request: &Request<Vec<u8>>, refreshes: u32) -> Response<Vec<u8>> {
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    let expected = if refreshes == 1 { "old-refresh".to_owned() } else { format!("refresh-{}", refreshes - 1) };
    assert_eq!(body["refresh_token"], expected, "a refresh token is used twice");
    let pair =
        json!({ "access_token": format!("access-{refreshes}"), "refresh_token": format!("refresh-{refreshes}") });
    served(200, &[], pair.to_string())
}

#[test]
fn one_of_many_threads_refreshes_and_all_go_on() {
    const THREADS: usize = 8;
    let shared = Mutex::new(session(stored()));
    let (refreshes, stores) = (AtomicU32::new(0), AtomicU32::new(0));
    for round in 1..=3 {
        let begin = Barrier::new(THREADS);
        let used = shared.lock().unwrap().clone();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    // By now every thread has seen the refusal of the same token.
                    begin.wait();
                    let send =
                        |request: Request<Vec<u8>>| Ok(granted(&request, refreshes.fetch_add(1, Ordering::SeqCst) + 1));
                    let store = |session: &Session| {
                        assert_eq!(session.access_token().expose(), format!("access-{round}"));
                        stores.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    };
                    let outcome = refresh(&shared, &used, send, store).unwrap();
                    assert!(matches!(outcome, None | Some(Refresh::Refreshed)), "{outcome:?}");
                    assert_eq!(shared.lock().unwrap().access_token().expose(), format!("access-{round}"));
                });
            }
        });
        assert_eq!((refreshes.load(Ordering::SeqCst), stores.load(Ordering::SeqCst)), (round, round));
    }
}

#[test]
fn a_refresh_that_is_not_sent_or_stored_can_be_repeated() {
    let shared = Mutex::new(session(stored()));
    let used = session(stored());
    let is_as_before = || {
        assert_eq!(serde_json::to_value(&*shared.lock().unwrap()).unwrap(), stored());
    };
    let stored_well = |_: &Session| Ok::<(), Failure>(());

    let lost = refresh(&shared, &used, |_| Err("connection reset".into()), stored_well);
    assert_eq!(lost.unwrap_err().to_string(), "connection reset");
    is_as_before();

    let full = refresh(&shared, &used, |request| Ok(granted(&request, 1)), |_| Err("the disk is full".into()));
    assert_eq!(full.unwrap_err().to_string(), "the disk is full");
    is_as_before();

    for (status, body) in [
        (502, ""),
        (429, ""),
        (200, "{}"),
        (401, r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":true}"#),
        (401, r#"{"errcode":"M_USER_LOCKED"}"#),
    ] {
        let stores = Cell::new(0);
        let store = |_: &Session| {
            stores.set(stores.get() + 1);
            Ok(())
        };
        let outcome = refresh(&shared, &used, |_| Ok(served(status, &[], body)), store).unwrap();
        assert!(!matches!(outcome, None | Some(Refresh::Refreshed)), "{outcome:?}");
        assert_eq!(stores.get(), 0);
        is_as_before();
    }

    // None of these failures has spent the refresh token.
    let again = refresh(&shared, &used, |request| Ok(granted(&request, 1)), stored_well).unwrap();
    assert!(matches!(again, Some(Refresh::Refreshed)));
    assert_eq!(shared.lock().unwrap().access_token().expose(), "access-1");
}

#[test]
fn a_session_that_cannot_be_refreshed_asks_once() {
    for errcode in ["M_FORBIDDEN", "M_UNRECOGNIZED"] {
        let shared = Mutex::new(session(stored()));
        let used = session(stored());
        let body = json!({ "errcode": errcode }).to_string();
        let outcome = refresh(&shared, &used, |_| Ok(served(403, &[], body.clone())), |_| panic!("nothing to store"));
        assert!(matches!(outcome.unwrap(), Some(Refresh::TokenGone(_) | Refresh::Unsupported(_))));
        // A thread that has waited in the meantime goes on with the access token. The next response tells that thread
        // whether the token is still valid.
        let late = refresh(&shared, &used, |_| panic!("nothing to send"), |_| panic!("nothing to store"));
        assert!(late.unwrap().is_none());
        assert!(shared.lock().unwrap().refresh_token().is_none());
    }
}

#[test]
fn a_thread_that_panics_stops_no_other_thread() {
    let shared = Mutex::new(session(stored()));
    let used = session(stored());
    let panicked = thread::scope(|scope| {
        scope.spawn(|| refresh(&shared, &used, |_| panic!("made up"), |_| Ok(())).is_ok()).join()
    });
    assert!(panicked.is_err() && shared.is_poisoned());
    let outcome = refresh(&shared, &used, |request| Ok(granted(&request, 1)), |_| Ok(())).unwrap();
    assert!(matches!(outcome, Some(Refresh::Refreshed)));
}
