//! The pages on which a user manages the account. A page exists only if the server lists its action. The URL names the
//! action as the server lists it.

use matrix_login::endpoint::oauth::auth_metadata::{self, AuthMetadata};
use serde_json::{Value, json};

use crate::support::scenario::{HOMESERVER, served};

fn metadata(uri: Value, actions: Value) -> AuthMetadata {
    let body = json!({
        "issuer": "https://auth.example.org/", "account_management_uri": uri,
        "account_management_actions_supported": actions,
    });
    let response = served(200, &[], body.to_string());
    auth_metadata::response(&HOMESERVER.parse().unwrap(), &response).unwrap().unwrap()
}

/// The URL of an action, without the part that all these URLs share.
fn url(actions: Value, action: &str, device_id: Option<&str>) -> Option<String> {
    let metadata = metadata(json!("https://auth.example.org/account?lang=en"), actions);
    let url = metadata.account_management_url(Some(action), device_id)?;
    Some(url.as_str().strip_prefix("https://auth.example.org/account?lang=en&").unwrap().to_owned())
}

#[test]
fn an_action_that_is_listed_has_a_page() {
    let all = json!(["org.matrix.profile", "org.matrix.devices_list", "org.matrix.device_view", "org.example.custom"]);
    for (action, device_id, page) in [
        ("org.matrix.profile", None, Some("action=org.matrix.profile")),
        ("profile", None, Some("action=org.matrix.profile")),
        ("org.matrix.devices_list", None, Some("action=org.matrix.devices_list")),
        ("org.matrix.device_view", Some("KITCHEN&1"), Some("action=org.matrix.device_view&device_id=KITCHEN%261")),
        ("org.matrix.device_view", None, Some("action=org.matrix.device_view")),
        // Only the actions about one device name the device.
        ("org.matrix.profile", Some("KITCHEN"), Some("action=org.matrix.profile")),
        ("org.example.custom", None, Some("action=org.example.custom")),
        ("org.matrix.account_deactivate", None, None),
        ("org.matrix.device_delete", Some("KITCHEN"), None),
    ] {
        assert_eq!(url(all.clone(), action, device_id).as_deref(), page, "{action}");
    }
}

#[test]
fn an_older_name_is_used_if_only_that_name_is_listed() {
    for (listed, action, page) in [
        (json!(["org.matrix.sessions_list"]), "org.matrix.devices_list", Some("action=org.matrix.sessions_list")),
        (json!(["sessions_list"]), "org.matrix.devices_list", Some("action=sessions_list")),
        (json!(["session_view"]), "org.matrix.device_view", Some("action=session_view&device_id=D")),
        (
            json!(["org.matrix.session_end"]),
            "org.matrix.device_delete",
            Some("action=org.matrix.session_end&device_id=D"),
        ),
        // MAS and tuwunel list both names.
        (
            json!(["org.matrix.sessions_list", "sessions_list", "org.matrix.devices_list"]),
            "org.matrix.devices_list",
            Some("action=org.matrix.devices_list"),
        ),
        (json!(["org.matrix.session_view"]), "org.matrix.devices_list", None),
    ] {
        assert_eq!(url(listed.clone(), action, Some("D")).as_deref(), page, "{listed} {action}");
    }
}

#[test]
fn an_older_name_means_the_same_action() {
    let new = json!(["org.matrix.devices_list", "org.matrix.device_view", "org.matrix.device_delete"]);
    for (action, page) in [
        ("sessions_list", "action=org.matrix.devices_list"),
        ("org.matrix.session_view", "action=org.matrix.device_view&device_id=D"),
        ("session_end", "action=org.matrix.device_delete&device_id=D"),
    ] {
        assert_eq!(url(new.clone(), action, Some("D")).as_deref(), Some(page), "{action}");
    }
    for (listed, action, page) in [
        (json!(["org.matrix.session_end"]), "org.matrix.session_end", "action=org.matrix.session_end&device_id=D"),
        (json!(["org.matrix.session_end"]), "session_end", "action=org.matrix.session_end&device_id=D"),
        (json!(["session_view"]), "org.matrix.session_view", "action=session_view&device_id=D"),
        // The name that the caller gave is used, if the server lists that name too.
        (json!(["org.matrix.device_view", "session_view"]), "session_view", "action=session_view&device_id=D"),
    ] {
        assert_eq!(url(listed.clone(), action, Some("D")).as_deref(), Some(page), "{listed} {action}");
    }
}

#[test]
fn without_an_action_the_page_itself_is_opened() {
    let plain = metadata(json!("https://auth.example.org/account/"), Value::Null);
    assert_eq!(plain.account_management_url(None, Some("D")).unwrap().as_str(), "https://auth.example.org/account/");
    // A server that lists nothing has no page for an action.
    for actions in [Value::Null, json!([]), json!("org.matrix.profile"), json!([7, null])] {
        let metadata = metadata(json!("https://auth.example.org/account/"), actions);
        assert!(metadata.account_management_url(Some("org.matrix.profile"), None).is_none());
    }
    for uri in [Value::Null, json!("http://auth.example.org/account"), json!("javascript:alert(1)")] {
        let metadata = metadata(uri, json!(["org.matrix.profile"]));
        assert!(metadata.account_management_url(None, None).is_none());
        assert!(metadata.account_management_url(Some("org.matrix.profile"), None).is_none());
    }
}

#[test]
fn a_parameter_that_the_server_has_set_appears_once() {
    let uri = json!("https://auth.example.org/account?action=x&lang=en&device_id=y");
    let metadata = metadata(uri, json!(["org.matrix.device_view"]));
    let url = metadata.account_management_url(Some("device_view"), Some("D")).unwrap();
    assert_eq!(url.query(), Some("lang=en&action=org.matrix.device_view&device_id=D"));
}
