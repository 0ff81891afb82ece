//! The OAuth 2.0 client, which says who a program is. It is stored with the settings, and read back.

use matrix_login::{LoginSettings, OAuthClient};
use serde_json::{Value, json};

fn client() -> OAuthClient {
    OAuthClient::new("https://app.example.com/".parse().unwrap(), "Example")
}

fn read(stored: Value) -> Result<OAuthClient, String> {
    serde_json::from_value(stored).map_err(|error| error.to_string())
}

#[test]
fn a_client_is_read_back_under_its_plain_names() {
    let client = client().with_field("logo_uri", "https://app.example.com/logo.png").unwrap();
    assert_eq!(client.client_uri().unwrap().as_str(), "https://app.example.com/");
    assert_eq!(client.client_name(), Some("Example"));
    assert_eq!(json!(client.fields()), json!({"logo_uri": "https://app.example.com/logo.png"}));
    assert_eq!(client.client_id(), None);

    let registered = OAuthClient::registered("a+b/c==").unwrap();
    assert_eq!(registered.client_id(), Some("a+b/c=="));
    assert!(registered.client_uri().is_none() && registered.client_name().is_none() && registered.fields().is_none());
}

#[test]
fn a_client_that_is_written_is_read_back() {
    for (client, stored) in [
        (client(), json!({"client_uri": "https://app.example.com/", "client_name": "Example"})),
        (
            OAuthClient::new("https://app.example.com/".parse().unwrap(), ""),
            json!({"client_uri": "https://app.example.com/"}),
        ),
        (
            client()
                .with_field("client_name#fr", "Exemple")
                .and_then(|client| client.with_field("redirect_uris", json!(["com.example.app:/cb"])))
                .and_then(|client| client.with_field("application_type", "native"))
                .unwrap(),
            json!({
                "client_uri": "https://app.example.com/", "client_name": "Example",
                "fields": {
                    "client_name#fr": "Exemple", "redirect_uris": ["com.example.app:/cb"],
                    "application_type": "native",
                },
            }),
        ),
        (OAuthClient::registered("client").unwrap(), json!({"client_id": "client"})),
    ] {
        assert_eq!(serde_json::to_value(&client).unwrap(), stored);
        assert_eq!(read(stored).unwrap(), client);
        let settings = LoginSettings::default().with_oauth(client.clone());
        let stored = serde_json::to_string(&settings).unwrap();
        let settings: LoginSettings = serde_json::from_str(&stored).unwrap();
        assert_eq!(settings.oauth(), Some(&client));
    }
}

#[test]
fn a_field_that_the_crate_writes_is_refused() {
    for name in ["client_uri", "client_name", "grant_types", "response_types", "token_endpoint_auth_method"] {
        let error = client().with_field(name, "x").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("invalid field `{name}`: expected a name that the registration does not have already")
        );
    }
    for value in [json!("https://app.example.com/"), json!([7]), json!([["x"]]), json!({}), json!(null)] {
        let error = client().with_field("redirect_uris", value.clone()).unwrap_err();
        assert_eq!(error.to_string(), "invalid field `redirect_uris`: expected a list of strings", "{value}");
    }
    let registered = OAuthClient::registered("client").unwrap();
    assert_eq!(
        registered.with_field("logo_uri", "x").unwrap_err().to_string(),
        "invalid OAuth client: expected a client that registers itself: only such a client has fields"
    );
    assert_eq!(
        OAuthClient::registered("").unwrap_err().to_string(),
        "invalid client ID: expected the ID that the server has given to the client"
    );
}

#[test]
fn a_stored_client_that_was_set_wrongly_is_refused() {
    for stored in [
        json!({}),
        json!({"client_name": "Example"}),
        json!({"client_id": ""}),
        json!({"client_id": 7}),
        json!({"client_id": "client", "client_name": "Example"}),
        json!({"client_id": "client", "client_uri": "https://app.example.com/"}),
        json!({"client_id": "client", "fields": {"logo_uri": "x"}}),
        json!({"client_uri": "http://app.example.com/"}),
        json!({"client_uri": "https://user@app.example.com/"}),
        json!({"client_uri": "https://app.example.com/", "client_secret": "x"}),
        json!({"client_uri": "https://app.example.com/", "fields": {"grant_types": []}}),
        json!({"client_uri": "https://app.example.com/", "fields": {"redirect_uris": "x"}}),
        json!({"client_uri": "https://app.example.com/", "fields": []}),
        json!("client"),
        json!(null),
    ] {
        assert!(read(stored.clone()).is_err(), "{stored}");
    }
}
