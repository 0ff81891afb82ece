//! The address of a page, or of an endpoint outside of the Matrix API.

use matrix_login::{Homeserver, HttpsUrl};

#[test]
fn https_with_a_host_is_accepted_with_its_path_and_query() {
    for text in [
        "https://app.example.com/",
        "https://app.example.com:8443/a/b%20c?d=e%2Ff&g",
        "https://app.example.com/?",
        "https://192.0.2.1/",
        "https://[2001:db8::1]:1/x",
    ] {
        let url: HttpsUrl = text.parse().unwrap();
        assert_eq!((url.as_str(), url.url().as_str(), url.to_string().as_str()), (text, text, text));
        let json = serde_json::to_string(&url).unwrap();
        assert_eq!(json, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<HttpsUrl>(&json).unwrap(), url);
    }
    let url: HttpsUrl = "HTTPS://App.Example.com:443".parse().unwrap();
    assert_eq!(url.as_str(), "https://app.example.com/");
}

#[test]
fn everything_else_is_refused_and_not_quoted() {
    for text in [
        "",
        "app.example.com",
        "/s3cr3t",
        "//app.example.com/s3cr3t",
        "http://app.example.com/s3cr3t",
        "http://127.0.0.1/s3cr3t",
        "ftp://app.example.com/s3cr3t",
        "com.example.app:/s3cr3t",
        "data:text/html,s3cr3t",
        "https://s3cr3t@app.example.com/",
        "https://user:s3cr3t@app.example.com/",
        "https://:s3cr3t@app.example.com/",
        "https://app.example.com/#s3cr3t",
        "https://app.example.com/#",
        "https://app.example.com:s3cr3t/",
        "https://",
    ] {
        let error = text.parse::<HttpsUrl>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid URL: expected https and a host, without user information and fragment",
            "{text}"
        );
        let error = serde_json::from_value::<HttpsUrl>(text.into()).unwrap_err();
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}

#[test]
fn a_homeserver_on_loopback_can_name_plain_http() {
    let named = |homeserver: &str, text: &str| {
        let homeserver: Homeserver = homeserver.parse().unwrap();
        HttpsUrl::named_by(&homeserver, text).is_ok()
    };
    assert!(named("http://127.0.0.1:8008", "http://localhost:1/token?a"));
    assert!(named("http://hs.example.org:8008", "http://hs.example.org:8008/token"));
    assert!(named("https://hs.example.org", "https://auth.example.net/token"));
    assert!(!named("https://hs.example.org", "http://hs.example.org/token"));
    assert!(!named("http://127.0.0.1:8008", "http://auth.example.net/token"));
    for odd in ["/token", "http://user@127.0.0.1/token", "http://127.0.0.1/token#", "ftp://127.0.0.1/", "http://"] {
        assert!(!named("http://127.0.0.1:8008", odd), "{odd}");
    }
}
