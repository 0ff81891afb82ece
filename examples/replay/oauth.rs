//! Replays an endpoint of the OAuth 2.0 API: its request, or its reading of a response or of a callback.

use http::Response;
use matrix_login::{
    AccessToken, DeviceId, Error, Homeserver, HttpsUrl, InvalidInput, RefreshToken,
    endpoint::oauth::{
        auth_metadata::{self, AuthMetadata},
        authorization::{self, AuthorizationCode},
        device_authorization, registration, revocation,
        token::{self, DeviceCode, Grant},
    },
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    endpoint::{RequestLine, ok, read},
    print::{milliseconds, request_value},
    transcript::{CodeChoice, NoTranscript, Registration, Taken, parse_url},
};

/// The homeserver of a transcript without a homeserver.
pub const HOMESERVER: &str = "http://127.0.0.1:8008";

/// The address of an endpoint. A homeserver on loopback may name it.
fn endpoint(text: &str) -> Taken<HttpsUrl> {
    HttpsUrl::named_by(&HOMESERVER.parse()?, text)
}

/// The metadata, as `choose` and `auth_metadata` print them.
pub fn metadata_value(metadata: &AuthMetadata) -> Value {
    let offers = [
        ("authorization_code", metadata.offers_authorization_code()),
        ("device_authorization", metadata.offers_device_authorization()),
        ("refresh_token", metadata.offers_refresh_token()),
        ("registration_of_users", metadata.offers_registration_of_users()),
    ];
    let offers: Vec<&str> = offers.iter().filter(|(_, is_offered)| *is_offered).map(|(name, _)| *name).collect();
    json!({
        "issuer": metadata.issuer,
        "authorization_endpoint": metadata.authorization_endpoint,
        "token_endpoint": metadata.token_endpoint,
        "registration_endpoint": metadata.registration_endpoint,
        "revocation_endpoint": metadata.revocation_endpoint,
        "device_authorization_endpoint": metadata.device_authorization_endpoint,
        "account_management_uri": metadata.account_management_uri,
        "offers": offers,
        "iss_in_callback": metadata.iss_in_callback,
        "other": metadata.other,
    })
}

pub fn auth_metadata_response(homeserver: &Homeserver, response: &Response<Vec<u8>>) -> Result<Value, Error> {
    ok(auth_metadata::response(homeserver, response), |metadata| metadata.as_ref().map_or(Value::Null, metadata_value))
}

pub fn registration_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        registration_endpoint: String,
        client: Registration,
        #[serde(default)]
        redirect_urls: Vec<String>,
    }

    let Fields { registration_endpoint, client, redirect_urls } = read(fields)?;
    let redirect_urls: Vec<&str> = redirect_urls.iter().map(String::as_str).collect();
    let request = || {
        let request = registration::request(&endpoint(&registration_endpoint)?, &client.take()?, &redirect_urls);
        request.ok_or_else(|| InvalidInput::new("OAuth client", "a client that is not already registered"))
    };
    Ok(request().map(|request| request_value(&request)))
}

pub fn registration_response(response: &Response<Vec<u8>>) -> Result<Value, Error> {
    ok(registration::response(response), |registered| json!({ "client_id": registered.client_id }))
}

pub fn authorization_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        authorization_endpoint: String,
        client_id: String,
        device_id: String,
        choose: CodeChoice,
    }

    let Fields { authorization_endpoint, client_id, device_id, choose } = read(fields)?;
    let url = || {
        let (endpoint, device_id) = (endpoint(&authorization_endpoint)?, DeviceId::new(device_id)?);
        // `Choice` checks the further parameters.
        let (redirect, verifier) = (choose.redirect()?, choose.verifier()?);
        let choice = choose.take()?;
        Ok(authorization::request(&endpoint, &client_id, &device_id, &redirect, &verifier, choice.fields()))
    };
    Ok(url().map(|url| json!({ "url": url })))
}

/// The output for a callback.
pub fn authorization_callback(callback: &Value) -> Result<Result<Value, Error>, NoTranscript> {
    #[derive(Deserialize)]
    struct Fields {
        url: String,
        state: String,
        issuer: Option<String>,
        #[serde(default)]
        iss_in_callback: bool,
    }

    let Fields { url, state, issuer, iss_in_callback } = read(callback)?;
    let line =
        || match authorization::response(&parse_url("callback", &url)?, &state, issuer.as_deref(), iss_in_callback)? {
            authorization::Response::Granted(code) => Ok(json!({ "ok": { "code": code.expose() } })),
            authorization::Response::Refused(error) => Err((*error).into()),
            _ => Ok(json!({ "error": { "kind": "unknown" } })),
        };
    Ok(line())
}

pub fn device_authorization_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        device_authorization_endpoint: String,
        client_id: String,
        device_id: String,
    }

    let Fields { device_authorization_endpoint, client_id, device_id } = read(fields)?;
    let request = || {
        let endpoint = endpoint(&device_authorization_endpoint)?;
        Ok(device_authorization::request(&endpoint, &client_id, &DeviceId::new(device_id)?))
    };
    Ok(request().map(|request| request_value(&request)))
}

pub fn device_authorization_response(response: &Response<Vec<u8>>) -> Result<Value, Error> {
    ok(device_authorization::response(&HOMESERVER.parse()?, response), |granted| {
        json!({
            "device_code": granted.device_code.expose(),
            "user_code": granted.user_code,
            "verification_uri": granted.verification_uri,
            "verification_uri_complete": granted.verification_uri_complete,
            "expires_in_ms": granted.expires_in.map(milliseconds),
            "interval_ms": milliseconds(granted.interval),
        })
    })
}

/// The metadata are the object that the homeserver sends.
pub fn account_management_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        metadata: Value,
        action: Option<String>,
        device_id: Option<String>,
    }

    let Fields { metadata, action, device_id } = read(fields)?;
    let homeserver: Homeserver = match HOMESERVER.parse() {
        Ok(homeserver) => homeserver,
        Err(error) => return Ok(Err(error)),
    };
    let metadata = auth_metadata::response(&homeserver, &Response::new(metadata.to_string()))?;
    let url = metadata.and_then(|metadata| metadata.account_management_url(action.as_deref(), device_id.as_deref()));
    Ok(Ok(json!({ "url": url })))
}

pub fn token_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum AGrant {
        Code { code: String, redirect_url: String, code_verifier: String },
        DeviceCode { device_code: String },
        RefreshToken { refresh_token: String },
    }

    #[derive(Deserialize)]
    struct Fields {
        token_endpoint: String,
        client_id: String,
        grant: AGrant,
    }

    let Fields { token_endpoint, client_id, grant } = read(fields)?;
    let request = || {
        let endpoint = endpoint(&token_endpoint)?;
        Ok(match grant {
            AGrant::Code { code, redirect_url, code_verifier } => {
                let (code, verifier) = (AuthorizationCode::new(code), matrix_login::CodeVerifier::new(code_verifier)?);
                token::request(&endpoint, &client_id, Grant::authorization_code(&code, &redirect_url, &verifier))
            }
            AGrant::DeviceCode { device_code } => {
                token::request(&endpoint, &client_id, Grant::DeviceCode(&DeviceCode::new(device_code)))
            }
            AGrant::RefreshToken { refresh_token } => {
                token::request(&endpoint, &client_id, Grant::RefreshToken(&RefreshToken::new(refresh_token)))
            }
        })
    };
    Ok(request().map(|request| request_value(&request)))
}

pub fn token_response(response: &Response<Vec<u8>>) -> Result<Value, Error> {
    ok(token::response(response), |granted| {
        json!({
            "access_token": granted.access_token.expose(),
            "refresh_token": granted.refresh_token.as_ref().map(RefreshToken::expose),
            "expires_in_ms": granted.expires_in.map(milliseconds),
            "scope": granted.scope,
            "other": granted.other,
        })
    })
}

pub fn revocation_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Hint {
        AccessToken,
        RefreshToken,
    }

    #[derive(Deserialize)]
    struct Fields {
        revocation_endpoint: String,
        client_id: String,
        token: String,
        hint: Hint,
    }

    let Fields { revocation_endpoint, client_id, token, hint } = read(fields)?;
    let request = || {
        let endpoint = endpoint(&revocation_endpoint)?;
        Ok(match hint {
            Hint::AccessToken => {
                revocation::request(&endpoint, &client_id, revocation::Token::Access(&AccessToken::new(token)?))
            }
            Hint::RefreshToken => {
                revocation::request(&endpoint, &client_id, revocation::Token::Refresh(&RefreshToken::new(token)))
            }
        })
    };
    Ok(request().map(|request| request_value(&request)))
}

pub fn revocation_response(response: &Response<Vec<u8>>) -> Result<Value, Error> {
    ok(revocation::response(response), |_| Value::Object(Map::new()))
}
