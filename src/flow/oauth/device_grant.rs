//! The device authorization grant: a device shows a code, and polls until the user has entered it on another device.

use std::sync::Arc;
use std::time::SystemTime;

use http::{Request, Response};

use crate::endpoint::error::ResponseError;
use crate::endpoint::oauth::device_authorization;
use crate::endpoint::oauth::token::{self, Grant};
use crate::endpoint::server_error::ServerError;
use crate::flow::shown_code::ShownCode;
use crate::flow::state::{CodeRequest, DeviceGrant, Due, Granted, Next, OAuthLogin, Server};

const EXPIRED: &str = "expired_token";

/// Asks the server for a code.
pub(crate) fn begin(server: Server, login: &OAuthLogin, client_id: &str) -> Next {
    let (metadata, device_id) = (Arc::clone(&login.metadata), login.device_id.clone());
    let request = Box::new(CodeRequest { client_id: client_id.into(), metadata, device_id });
    Next::To(Due::PostDeviceAuthorization { server, request })
}

/// POST `device_authorization`.
pub(crate) fn code_request(request: &CodeRequest) -> Request<Vec<u8>> {
    let endpoint = request.metadata.device_authorization_endpoint.as_ref();
    let request =
        endpoint.map(|endpoint| device_authorization::request(endpoint, &request.client_id, &request.device_id));
    // The default is never used: the grant is offered only if there is this endpoint.
    request.unwrap_or_default()
}

/// After POST `device_authorization`, the driver shows the code.
pub(crate) fn show<B: AsRef<[u8]>>(
    server: &Server,
    request: &CodeRequest,
    response: &Response<B>,
    received_at: SystemTime,
) -> Result<Next, ResponseError> {
    let granted = device_authorization::response(&server.homeserver, response)?;
    let CodeRequest { client_id, metadata, .. } = request.clone();
    let (device_code, code) = (granted.device_code.clone(), ShownCode::new(granted, received_at));
    let grant = Box::new(DeviceGrant { client_id, metadata, device_code, code });
    Ok(Next::To(Due::ShowCode { server: server.clone(), grant }))
}

/// Delays the next poll.
pub(crate) fn show_again(server: &Server, grant: &DeviceGrant, code: ShownCode) -> Next {
    let grant = Box::new(DeviceGrant { code, ..grant.clone() });
    Next::To(Due::ShowCode { server: server.clone(), grant })
}

/// POST token, as a poll.
pub(crate) fn poll_request(grant: &DeviceGrant) -> Request<Vec<u8>> {
    let endpoint = grant.metadata.token_endpoint.as_ref();
    let request =
        endpoint.map(|endpoint| token::request(endpoint, &grant.client_id, Grant::DeviceCode(&grant.device_code)));
    // The default is never used: a grant is offered only if there is a token endpoint.
    request.unwrap_or_default()
}

/// After a poll.
pub(crate) fn after_poll<B: AsRef<[u8]>>(
    server: &Server,
    grant: &DeviceGrant,
    response: &Response<B>,
    received_at: SystemTime,
) -> Result<Next, ResponseError> {
    match token::response(response) {
        Ok(tokens) => {
            let (client_id, metadata) = (grant.client_id.clone(), Arc::clone(&grant.metadata));
            Ok(server.ask_whoami(Granted { client_id, metadata, tokens, received_at }))
        }
        Err(ResponseError::Server(error)) => after_error(server, grant, error, received_at),
        Err(error) => Err(error),
    }
}

/// After a poll with an error. The code of the error counts before the status: servers send the errors of RFC 8628,
/// section 3.5, with 400, 403 and 429.
fn after_error(
    server: &Server,
    grant: &DeviceGrant,
    error: Box<ServerError>,
    received_at: SystemTime,
) -> Result<Next, ResponseError> {
    let code = match error.errcode.as_deref() {
        Some("authorization_pending" | "slow_down") if grant.code.has_ended(received_at) => {
            // The message of the server and its `retry_after` are dropped, since they say that the code is still valid.
            let errcode = Some(EXPIRED.to_owned());
            let expired = ServerError { errcode, message: None, retry_after: None, ..*error };
            return Ok(Next::To(server.question(Some(Box::new(expired)))));
        }
        Some("authorization_pending") => grant.code.clone(),
        Some("slow_down") => grant.code.clone().slower(),
        Some("access_denied" | EXPIRED) => return Ok(Next::To(server.question(Some(error)))),
        _ => return Err(ResponseError::Server(error)),
    };
    let retry_after = error.retry_after.and_then(|retry_after| retry_after.delay(received_at));
    Ok(show_again(server, grant, code.polled(retry_after, received_at)))
}
