//! Replays one endpoint: the request to it, or what it makes of a response.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Request, Response};
use matrix_login::{
    AccessToken, Homeserver, RefreshToken, ServerName,
    endpoint::{get_token, login, login_types, logout, logout_all, refresh, sso, versions, well_known, whoami},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    print::{error_line, error_value, login_types_value, milliseconds, request_value},
    transcript::{Chosen, NoTranscript, RecordedResponse, RedirectRequest, Settings, Taken},
};

/// The line that a transcript of one endpoint leads to.
///
/// # Errors
///
/// A description of what is no transcript.
pub fn replay(transcript: &Value) -> Result<Vec<Value>, NoTranscript> {
    #[derive(Deserialize)]
    struct EndpointTranscript {
        endpoint: String,
        response: Option<RecordedResponse>,
        request: Option<Value>,
    }

    let EndpointTranscript { endpoint, response, request } = EndpointTranscript::deserialize(transcript)?;
    let line = match (response, request) {
        (Some(response), None) => {
            let (response, received_at) = response.read()?;
            match endpoint_response(&endpoint, &response, received_at)? {
                Ok(value) => json!({ "ok": value }),
                Err(error) => json!({ "error": error }),
            }
        }
        (None, Some(request)) => match endpoint_request(&endpoint, &request)? {
            Ok(line) => line,
            Err(error) => error_line(&error, UNIX_EPOCH),
        },
        _ => return Err("an endpoint is replayed with either a `response` or a `request`".into()),
    };
    Ok(vec![line])
}

/// What an endpoint makes of a response, or the error that it is.
fn endpoint_response(
    endpoint: &str,
    response: &Response<Vec<u8>>,
    received_at: SystemTime,
) -> Result<Result<Value, Value>, NoTranscript> {
    let read = match endpoint {
        "well_known" => well_known::response(response).map(|answer| {
            let identity_server = match answer.identity_server {
                None => Value::Null,
                Some(Ok(base_url)) => json!(base_url),
                Some(Err(problem)) => json!({ "problem": problem.to_string() }),
            };
            let mut other = answer.file.clone();
            other.0.retain(|key, _| !matches!(key.as_str(), "m.homeserver" | "m.identity_server"));
            json!({ "base_url": answer.base_url, "identity_server": identity_server, "other": other })
        }),
        "versions" => versions::response(response)
            .map(|answer| json!({ "versions": answer.versions, "unstable_features": answer.unstable_features })),
        "login_types" => {
            login_types::response(response).map(|answer| json!({ "login_types": login_types_value(&answer) }))
        }
        "login" => login::response(response).map(|answer| {
            json!({
                "user_id": answer.user_id,
                "access_token": answer.access_token.expose(),
                "device_id": answer.device_id,
                "home_server": answer.home_server,
                "expires_in_ms": answer.expires_in.map(milliseconds),
                "refresh_token": answer.refresh_token.as_ref().map(RefreshToken::expose),
                "well_known_base_url": answer.well_known_base_url,
                "well_known": answer.well_known,
                "other": answer.other,
            })
        }),
        "refresh" => refresh::response(response).map(|answer| {
            json!({
                "access_token": answer.access_token.expose(),
                "expires_in_ms": answer.expires_in.map(milliseconds),
                "refresh_token": answer.refresh_token.as_ref().map(RefreshToken::expose),
            })
        }),
        "logout" => logout::response(response).map(|answer| logged_out(&answer)),
        "logout_all" => logout_all::response(response).map(|answer| logged_out(&answer)),
        "whoami" => whoami::response(response).map(
            |answer| json!({ "user_id": answer.user_id, "device_id": answer.device_id, "is_guest": answer.is_guest }),
        ),
        // A challenge is an answer of its own; transcripts have it among the errors.
        "get_token" => match get_token::response(response) {
            Ok(get_token::Response::Granted { login_token, expires_in, .. }) => Ok(json!({
                "login_token": login_token.expose(),
                "expires_in_ms": expires_in.map(milliseconds),
            })),
            Ok(get_token::Response::UiaRequired(challenge)) => {
                let message = "the user has to authenticate once more";
                let (session, flows) = (challenge.session, challenge.flows);
                return Ok(Err(
                    json!({ "kind": "uia_required", "message": message, "session": session, "flows": flows }),
                ));
            }
            Ok(_) => return Err("an answer that is not known here".into()),
            Err(error) => Err(error),
        },
        other => return Err(format!("no endpoint {other} with a response").into()),
    };
    Ok(read.map_err(|error| error_value(&error, received_at)))
}

fn logged_out(answer: &logout::Response) -> Value {
    json!({ "already_logged_out": answer.already_logged_out })
}

fn endpoint_request(endpoint: &str, request: &Value) -> Result<Taken<Value>, NoTranscript> {
    #[derive(Deserialize)]
    struct ServerNameField {
        server_name: String,
    }
    #[derive(Deserialize)]
    struct HomeserverField {
        homeserver: String,
    }
    #[derive(Deserialize)]
    struct TokenRequest {
        homeserver: String,
        access_token: String,
    }
    #[derive(Deserialize)]
    struct RefreshRequest {
        homeserver: String,
        refresh_token: String,
    }
    #[derive(Deserialize)]
    struct LoginRequest {
        homeserver: String,
        choose: Chosen,
        settings: Option<Settings>,
    }
    #[derive(Deserialize)]
    struct SsoRequest {
        homeserver: String,
        #[serde(flatten)]
        redirect: RedirectRequest,
    }

    fn fields<T: DeserializeOwned>(request: &Value) -> Result<T, NoTranscript> {
        Ok(T::deserialize(request)?)
    }

    Ok(match endpoint {
        "well_known" => {
            let server_name = fields::<ServerNameField>(request)?.server_name;
            server_name.parse::<ServerName>().map(|server_name| request_value(&well_known::request(&server_name)))
        }
        "versions" | "login_types" => {
            let build = if endpoint == "versions" { versions::request } else { login_types::request };
            let homeserver = fields::<HomeserverField>(request)?.homeserver;
            homeserver.parse::<Homeserver>().map(|homeserver| request_value(&build(&homeserver)))
        }
        "get_token" | "logout" | "logout_all" | "whoami" => {
            let TokenRequest { homeserver, access_token } = fields(request)?;
            let build: fn(&Homeserver, &AccessToken) -> Request<Vec<u8>> = match endpoint {
                "get_token" => |homeserver, access_token| get_token::request(homeserver, access_token, None),
                "logout" => logout::request,
                "logout_all" => logout_all::request,
                _ => whoami::request,
            };
            let take = || Ok((homeserver.parse()?, AccessToken::new(access_token)?));
            take().map(|(homeserver, access_token)| request_value(&build(&homeserver, &access_token)))
        }
        "refresh" => {
            let RefreshRequest { homeserver, refresh_token } = fields(request)?;
            homeserver
                .parse()
                .map(|homeserver| request_value(&refresh::request(&homeserver, &RefreshToken::new(refresh_token))))
        }
        "login" => {
            let LoginRequest { homeserver, choose, settings } = fields(request)?;
            let build = || login::request(&homeserver.parse()?, &choose.take()?, &settings.unwrap_or_default().take()?);
            build().map(|request| request_value(&request))
        }
        "sso" => {
            let SsoRequest { homeserver, redirect } = fields(request)?;
            let build = || Ok(sso::request(&homeserver.parse()?, &redirect.take()?));
            build().map(|url| json!({ "url": url }))
        }
        other => return Err(format!("no endpoint {other} with a request").into()),
    })
}
