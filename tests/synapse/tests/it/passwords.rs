//! Logins with a password: with every identifier, to a device with a chosen ID, and logins that Synapse refuses.

use http::StatusCode;
use matrix_login_synapse::{Story, ask, password_choice, password_choice_as};
use serde_json::{Value, json};

fn user(user: &str) -> Value {
    json!({ "type": "m.id.user", "user": user })
}

fn third_party(medium: &str, address: &str) -> Value {
    json!({ "type": "m.id.thirdparty", "medium": medium, "address": address })
}

/// Logs in, and asks the homeserver who is logged in.
fn logs_in(name: &'static str, identifier: Value) {
    let session = Story::at(name, "full").logs_in(password_choice_as("alice", identifier));
    let (status, whoami) = ask(&session, "/_matrix/client/v3/account/whoami");
    assert_eq!((status, &whoami["user_id"]), (200, &json!("@alice:example.test")));
    assert_eq!(whoami["device_id"], session.device_id());
}

#[test]
fn a_localpart_logs_in() {
    logs_in("password_localpart", user("alice"));
}

#[test]
fn a_user_id_logs_in() {
    logs_in("password_user_id", user("@alice:example.test"));
}

#[test]
fn a_user_id_in_capitals_logs_in() {
    logs_in("password_user_id_in_capitals", user("@ALICE:example.test"));
}

#[test]
fn an_e_mail_address_in_any_case_logs_in() {
    logs_in("password_email", third_party("email", "Alice@Example.org"));
}

#[test]
fn a_phone_number_with_plus_and_blanks_logs_in() {
    logs_in("password_msisdn", third_party("msisdn", "+44 7700 900-123"));
}

#[test]
fn a_phone_number_of_a_country_logs_in() {
    logs_in("password_phone", json!({ "type": "m.id.phone", "country": "gb", "phone": "07700 900123" }));
}

#[test]
fn a_device_with_a_chosen_id_and_name_is_on_the_server() {
    let settings = json!({ "device_id": "KITCHEN", "initial_device_display_name": "the tablet in the kitchen" });
    let session = Story::at_with("password_device", "full", settings).logs_in(password_choice("alice"));
    assert_eq!(session.device_id(), "KITCHEN");
    let (status, device) = ask(&session, "/_matrix/client/v3/devices/KITCHEN");
    assert_eq!((status, &device["display_name"]), (200, &json!("the tablet in the kitchen")));
}

#[test]
fn a_repeated_login_to_the_same_device_makes_no_other_device() {
    let settings = json!({ "device_id": "REPEATED" });
    let repeated = |name| Story::at_with(name, "full", settings.clone()).logs_in(password_choice("alice"));
    let first = repeated("password_repeated_first");
    let second = repeated("password_repeated_second");
    let (status, devices) = ask(&second, "/_matrix/client/v3/devices");
    let devices = devices["devices"].as_array().unwrap();
    assert_eq!((status, devices.iter().filter(|device| device["device_id"] == "REPEATED").count()), (200, 1));
    // A homeserver can end the first login, but with Synapse its token stays valid.
    assert_eq!(ask(&first, "/_matrix/client/v3/account/whoami").0, 200);
}

#[test]
fn a_field_that_synapse_does_not_know_does_no_harm() {
    let mut choice = password_choice("alice");
    choice["extra"] = json!({ "org.example.field": { "x": [1, null] } });
    Story::at("password_extra_field", "full").logs_in(choice);
}

#[test]
fn the_right_password_logs_in_after_a_wrong_one() {
    let mut wrong = password_choice("alice");
    wrong["password"] = json!("looking-glass");
    Story::at("password_wrong", "full").tell(|login| {
        let refused = login.with(wrong).refused();
        assert_eq!((refused.status, refused.errcode.as_deref()), (Some(StatusCode::FORBIDDEN), Some("M_FORBIDDEN")));
        login.with(password_choice("alice")).session();
    });
}

#[test]
fn users_who_cannot_log_in_are_refused() {
    let unknown = password_choice_as("alice", user("nobody"));
    for (name, choice, status, errcode) in [
        ("password_unknown_user", unknown, StatusCode::FORBIDDEN, "M_FORBIDDEN"),
        ("password_deactivated_user", password_choice("deactivated"), StatusCode::FORBIDDEN, "M_FORBIDDEN"),
        ("password_locked_user", password_choice("locked"), StatusCode::UNAUTHORIZED, "M_USER_LOCKED"),
    ] {
        let refused = Story::at(name, "full").is_refused(choice);
        assert_eq!((refused.status, refused.errcode.as_deref()), (Some(status), Some(errcode)), "{name}");
        assert_eq!(refused.soft_logout, errcode == "M_USER_LOCKED");
    }
}

#[test]
fn a_value_that_is_too_long_for_synapse_is_refused() {
    let settings = json!({ "initial_device_display_name": "x".repeat(101) });
    let story = Story::at_with("password_long_display_name", "full", settings);
    assert_eq!(story.is_refused(password_choice("alice")).errcode.as_deref(), Some("M_TOO_LARGE"));
    let story = Story::at_with("password_long_device_id", "full", json!({ "device_id": "A".repeat(513) }));
    assert_eq!(story.is_refused(password_choice("alice")).errcode.as_deref(), Some("M_INVALID_PARAM"));
}

#[test]
fn passwords_that_are_switched_off_are_not_offered() {
    Story::at("password_switched_off", "no_passwords").tell(|login| {
        assert_eq!(login.run().login_types(), ["m.login.application_service"]);
    });
}
