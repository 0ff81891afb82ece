//! Replays one endpoint: its request, or its reading of a response.

use std::time::UNIX_EPOCH;

use http::{Request, Response};
use matrix_login::{
    AccessToken, Error, Homeserver, InvalidInput, RefreshToken, ServerName,
    endpoint::{
        get_token, login, login_types, logout, logout_all, oauth::auth_metadata, refresh, sso, uia::UiaChallenge,
        versions, well_known, whoami,
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    oauth,
    print::{error_line, login_types_value, milliseconds, request_value},
    transcript::{Chosen, NoTranscript, RecordedResponse, RedirectRequest, Settings, Taken},
};

/// The output for a request. It is an error if the endpoint has other fields.
pub type RequestLine = Result<Taken<Value>, NoTranscript>;

/// An endpoint: its name, the output for a request with these fields, and the output for a response.
type Row = (&'static str, fn(&Value) -> RequestLine, Option<fn(&Response<Vec<u8>>) -> Result<Value, Error>>);

const ENDPOINTS: &[Row] = &[
    (
        "well_known",
        |fields| to_server(fields, well_known::request),
        Some(|response| ok(well_known::response(response).map_err(|failure| *failure), well_known_value)),
    ),
    (
        "versions",
        |fields| to_homeserver(fields, versions::request),
        Some(|response| ok(versions::response(response), versions_value)),
    ),
    (
        "login_types",
        |fields| to_homeserver(fields, login_types::request),
        Some(|response| {
            ok(login_types::response(response), |types| json!({ "login_types": login_types_value(types) }))
        }),
    ),
    ("login", login_request, Some(|response| ok(login::response(response), login_value))),
    ("sso", sso_request, None),
    ("refresh", refresh_request, Some(|response| ok(refresh::response(response), refresh_value))),
    (
        "logout",
        |fields| with_token(fields, logout::request),
        Some(|response| ok(logout::response(response), logout_value)),
    ),
    (
        "logout_all",
        |fields| with_token(fields, logout_all::request),
        Some(|response| ok(logout_all::response(response), logout_value)),
    ),
    (
        "whoami",
        |fields| with_token(fields, whoami::request),
        Some(|response| ok(whoami::response(response), whoami_value)),
    ),
    (
        "get_token",
        |fields| with_token(fields, |homeserver, token| get_token::request(homeserver, token, None)),
        Some(get_token_response),
    ),
    (
        "auth_metadata",
        |fields| to_homeserver(fields, auth_metadata::request),
        // The response also needs the homeserver: see below.
        None,
    ),
    ("registration", oauth::registration_request, Some(oauth::registration_response)),
    ("authorization", oauth::authorization_request, None),
    ("device_authorization", oauth::device_authorization_request, Some(oauth::device_authorization_response)),
    ("account_management", oauth::account_management_request, None),
    ("token", oauth::token_request, Some(oauth::token_response)),
    ("revocation", oauth::revocation_request, Some(oauth::revocation_response)),
];

/// The output for a transcript of one endpoint.
///
/// # Errors
///
/// Why this is not a transcript.
pub fn replay(transcript: &Value) -> Result<Vec<Value>, NoTranscript> {
    #[derive(Deserialize)]
    struct EndpointTranscript {
        endpoint: String,
        response: Option<RecordedResponse>,
        request: Option<Value>,
        callback: Option<Value>,
        homeserver: Option<String>,
    }

    let EndpointTranscript { endpoint, response, request, callback, homeserver } =
        EndpointTranscript::deserialize(transcript)?;
    let row = ENDPOINTS.iter().find(|(name, ..)| *name == endpoint);
    let (line, received_at) = match (response, request) {
        (None, None) if endpoint == "authorization_callback" => {
            (oauth::authorization_callback(&callback.unwrap_or_default())?, UNIX_EPOCH)
        }
        (Some(response), None) if endpoint == "auth_metadata" => {
            let (response, received_at) = response.read()?;
            let homeserver = homeserver.unwrap_or_else(|| oauth::HOMESERVER.to_owned());
            let line = homeserver.parse().map_err(Error::from);
            (line.and_then(|homeserver| oauth::auth_metadata_response(&homeserver, &response)), received_at)
        }
        (Some(response), None) => {
            let (response, received_at) = response.read()?;
            let Some((_, _, Some(read))) = row else {
                return Err(format!("no endpoint {endpoint} with a response").into());
            };
            (read(&response), received_at)
        }
        (None, Some(fields)) => {
            let Some((_, build, _)) = row else {
                return Err(format!("no endpoint {endpoint} with a request").into());
            };
            (build(&fields)?.map_err(Error::from), UNIX_EPOCH)
        }
        _ => return Err("an endpoint is replayed with either a `response` or a `request`".into()),
    };
    Ok(vec![line.unwrap_or_else(|error| error_line(&error, received_at))])
}

// Requests.

pub fn read<T: DeserializeOwned>(fields: &Value) -> Result<T, NoTranscript> {
    Ok(T::deserialize(fields)?)
}

fn to_server(fields: &Value, build: impl FnOnce(&ServerName) -> Request<Vec<u8>>) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        server_name: String,
    }

    let Fields { server_name } = read(fields)?;
    Ok(server_name.parse().map(|server_name| request_value(&build(&server_name))))
}

fn to_homeserver(fields: &Value, build: impl FnOnce(&Homeserver) -> Request<Vec<u8>>) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        homeserver: String,
    }

    let Fields { homeserver } = read(fields)?;
    Ok(homeserver.parse().map(|homeserver| request_value(&build(&homeserver))))
}

fn with_token(fields: &Value, build: impl FnOnce(&Homeserver, &AccessToken) -> Request<Vec<u8>>) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        homeserver: String,
        access_token: String,
    }

    let Fields { homeserver, access_token } = read(fields)?;
    let request = || Ok(build(&homeserver.parse()?, &AccessToken::new(access_token)?));
    Ok(request().map(|request| request_value(&request)))
}

fn login_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        homeserver: String,
        choose: Chosen,
        settings: Option<Settings>,
    }

    let Fields { homeserver, choose, settings } = read(fields)?;
    let request = || {
        let (homeserver, choice, settings) =
            (homeserver.parse()?, choose.take()?, settings.unwrap_or_default().take()?);
        let credentials = choice
            .credentials()
            .ok_or_else(|| InvalidInput::new("choice", "credentials; single sign-on begins with a redirect"))?;
        Ok(login::request(&homeserver, credentials, &settings))
    };
    Ok(request().map(|request| request_value(&request)))
}

fn sso_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        homeserver: String,
        #[serde(flatten)]
        redirect: RedirectRequest,
    }

    let Fields { homeserver, redirect } = read(fields)?;
    let url = || Ok(sso::request(&homeserver.parse()?, &redirect.take()?));
    Ok(url().map(|url| json!({ "url": url })))
}

fn refresh_request(fields: &Value) -> RequestLine {
    #[derive(Deserialize)]
    struct Fields {
        homeserver: String,
        refresh_token: String,
    }

    let Fields { homeserver, refresh_token } = read(fields)?;
    let refresh_token = RefreshToken::new(refresh_token);
    Ok(homeserver.parse().map(|homeserver| request_value(&refresh::request(&homeserver, &refresh_token))))
}

// Responses.

pub fn ok<T, E: Into<Error>>(response: Result<T, E>, value: impl FnOnce(&T) -> Value) -> Result<Value, Error> {
    response.map(|response| json!({ "ok": value(&response) })).map_err(Into::into)
}

fn well_known_value(response: &well_known::Response) -> Value {
    let identity_server = match &response.identity_server {
        None => Value::Null,
        Some(Ok(base_url)) => json!(base_url),
        Some(Err(problem)) => json!({ "problem": problem.to_string() }),
    };
    let mut other = Map::from(&response.file);
    other.retain(|key, _| !matches!(key.as_str(), "m.homeserver" | "m.identity_server"));
    json!({ "base_url": response.base_url, "identity_server": identity_server, "other": other })
}

fn versions_value(response: &versions::Response) -> Value {
    let mut features = Map::from(&response.unstable_features);
    features.retain(|_, is_on| is_on.is_boolean());
    json!({ "versions": response.versions, "unstable_features": features })
}

fn login_value(response: &login::Response) -> Value {
    json!({
        "user_id": response.user_id,
        "access_token": response.access_token.expose(),
        "device_id": response.device_id,
        "home_server": response.home_server,
        "expires_in_ms": response.expires_in.map(milliseconds),
        "refresh_token": response.refresh_token.as_ref().map(RefreshToken::expose),
        "well_known_base_url": response.well_known_base_url(),
        "well_known": response.well_known,
        "other": response.other,
    })
}

fn refresh_value(response: &refresh::Response) -> Value {
    json!({
        "access_token": response.access_token.expose(),
        "expires_in_ms": response.expires_in.map(milliseconds),
        "refresh_token": response.refresh_token.as_ref().map(RefreshToken::expose),
    })
}

fn logout_value(response: &logout::Response) -> Value {
    json!({ "already_logged_out": response.already_logged_out })
}

fn whoami_value(response: &whoami::Response) -> Value {
    json!({ "user_id": response.user_id, "device_id": response.device_id, "is_guest": response.is_guest })
}

/// The output for a challenge. If a stage has failed, it says why.
fn challenge_value(challenge: &UiaChallenge) -> Value {
    let mut value = json!({
        "kind": "uia_required",
        "message": "the user must authenticate once more",
        "session": challenge.session,
        "flows": challenge.flows(),
    });
    if let Some(error) = &challenge.error {
        value["message"] = format!("the user must authenticate once more: {error}").into();
        value["errcode"] = json!(error.errcode);
    }
    value
}

/// The output for the response of `get_token`. A challenge is not an error, but transcripts show it as one.
fn get_token_response(response: &Response<Vec<u8>>) -> Result<Value, Error> {
    Ok(match get_token::response(response)? {
        get_token::Response::Granted { login_token, expires_in, .. } => {
            json!({ "ok": { "login_token": login_token.expose(), "expires_in_ms": expires_in.map(milliseconds) } })
        }
        get_token::Response::UiaRequired(challenge) => json!({ "error": challenge_value(&challenge) }),
        _ => json!({ "error": { "kind": "unknown" } }),
    })
}
