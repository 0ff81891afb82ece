//! A scripted homeserver on loopback. Every login in a browser is the login of another user.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{self, Body},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    net::TcpListener,
    sync::{RwLock, RwLockWriteGuard},
    task::{AbortHandle, spawn},
};
use url::{Url, form_urlencoded};

/// The beginnings of all secrets, which no page and no log may contain. The number of the login follows.
pub const SECRETS: [&str; 4] = ["login-token-", "code-", "access-token-", "refresh-token-"];

#[derive(Clone, Copy, PartialEq)]
pub enum Offers {
    SingleSignOn,
    /// OAuth 2.0, and single sign-on.
    OAuth,
    /// Single sign-on, but every login is refused.
    Nothing,
    /// Single sign-on, but every logout fails.
    NoLogout,
}

pub struct Homeserver {
    address: SocketAddr,
    script: Arc<Script>,
    task: AbortHandle,
}

struct Script {
    port: u16,
    offers: Offers,
    requests: Mutex<Vec<String>>,
    /// Responses wait for this lock.
    gate: RwLock<()>,
    /// The parameters at the authorization endpoint, by the number of the login.
    grants: Mutex<BTreeMap<usize, BTreeMap<String, String>>>,
    logins: Mutex<usize>,
}

impl Homeserver {
    pub async fn start(offers: Offers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script {
            port: address.port(),
            offers,
            requests: Mutex::default(),
            gate: RwLock::default(),
            grants: Mutex::default(),
            logins: Mutex::default(),
        });
        let router = Router::new().fallback(respond).with_state(Arc::clone(&script));
        let task = spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle();
        Self { address, script, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// No response comes as long as this is held.
    pub async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.script.gate.write().await
    }

    /// The number of requests to an endpoint, such as `POST /_matrix/client/v3/login`.
    pub fn count(&self, endpoint: &str) -> usize {
        self.script.requests.lock().unwrap().iter().filter(|request| *request == endpoint).count()
    }
}

impl Drop for Homeserver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond(State(script): State<Arc<Script>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let body = body::to_bytes(body, usize::MAX).await.unwrap();
    let endpoint = format!("{} {}", head.method, head.uri.path());
    script.requests.lock().unwrap().push(endpoint.clone());
    let _open = script.gate.read().await;
    script.outcome(&endpoint, &parameters(head.uri.query().unwrap_or_default().as_bytes()), &head.headers, &body)
}

impl Script {
    fn outcome(&self, endpoint: &str, query: &BTreeMap<String, String>, headers: &HeaderMap, body: &[u8]) -> Response {
        match endpoint {
            "GET /_matrix/client/v3/login" => {
                granted(json!({ "flows": [{ "type": "m.login.sso" }, { "type": "m.login.token" }] }))
            }
            "GET /_matrix/client/v3/login/sso/redirect" => {
                back(&query["redirectUrl"], &[("loginToken", &format!("login-token-{}", self.number()))])
            }
            "POST /_matrix/client/v3/login" if self.offers == Offers::Nothing => {
                let refused = json!({ "errcode": "M_FORBIDDEN", "error": "<script>alert(1)</script>" });
                (StatusCode::FORBIDDEN, refused.to_string()).into_response()
            }
            "POST /_matrix/client/v3/login" => {
                let body: Value = serde_json::from_slice(body).unwrap();
                let number = number(body["token"].as_str().unwrap());
                granted(json!({
                    "user_id": format!("@user{number}:example.org"),
                    "device_id": body["device_id"],
                    "access_token": format!("access-token-{number}"),
                }))
            }
            "GET /_matrix/client/v1/auth_metadata" if self.offers == Offers::OAuth => granted(self.metadata()),
            "POST /register" => granted(json!({ "client_id": "the-client" })),
            "GET /authorize" => {
                let number = self.number();
                self.grants.lock().unwrap().insert(number, query.clone());
                let code = format!("code-{number}");
                back(&query["redirect_uri"], &[("code", &code), ("state", &query["state"])])
            }
            "POST /token" => {
                let form = parameters(body);
                let number = number(&form["code"]);
                // A code is valid once.
                let grant = self.grants.lock().unwrap().get_mut(&number).map(std::mem::take).unwrap();
                let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
                assert_eq!(grant["code_challenge"], challenge);
                assert_eq!((&grant["client_id"], &grant["redirect_uri"]), (&form["client_id"], &form["redirect_uri"]));
                let device = grant["scope"].rsplit_once(":device:").unwrap().1.to_owned();
                self.grants.lock().unwrap().insert(number, BTreeMap::from([("device".to_owned(), device)]));
                granted(json!({
                    "access_token": format!("access-token-{number}"), "token_type": "Bearer",
                    "refresh_token": format!("refresh-token-{number}"), "expires_in": 300,
                }))
            }
            "GET /_matrix/client/v3/account/whoami" => {
                let number = number(headers[header::AUTHORIZATION].to_str().unwrap());
                let device = &self.grants.lock().unwrap()[&number]["device"];
                granted(json!({ "user_id": format!("@user{number}:example.org"), "device_id": device }))
            }
            "POST /_matrix/client/v3/logout" if self.offers == Offers::NoLogout => {
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            "POST /_matrix/client/v3/logout" | "POST /revoke" => granted(json!({})),
            _ => (StatusCode::NOT_FOUND, json!({ "errcode": "M_UNRECOGNIZED" }).to_string()).into_response(),
        }
    }

    /// The metadata. The host of the OAuth 2.0 server differs from the host of the homeserver, as people see it.
    fn metadata(&self) -> Value {
        let at = |path: &str| format!("http://localhost:{}/{path}", self.port);
        json!({
            "issuer": at(""), "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
            "registration_endpoint": at("register"), "revocation_endpoint": at("revoke"),
            "response_types_supported": ["code"], "grant_types_supported": ["authorization_code", "refresh_token"],
            "response_modes_supported": ["query", "fragment"], "code_challenge_methods_supported": ["S256"],
        })
    }

    fn number(&self) -> usize {
        let mut logins = self.logins.lock().unwrap();
        *logins += 1;
        *logins
    }
}

/// The number of a login, from one of its secrets.
pub fn number(secret: &str) -> usize {
    secret.rsplit_once('-').unwrap().1.parse().unwrap()
}

fn parameters(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn granted(body: Value) -> Response {
    body.to_string().into_response()
}

fn back(address: &str, parameters: &[(&str, &String)]) -> Response {
    let mut address = Url::parse(address).unwrap();
    address.query_pairs_mut().extend_pairs(parameters);
    (StatusCode::FOUND, [(header::LOCATION, String::from(address))]).into_response()
}
