//! A transport that is the browser's `fetch`.

use std::{
    error, fmt,
    time::{Duration, SystemTime},
};

use http::{Request, Response, response::Builder};
use js_sys::{Array, Date, Promise, Uint8Array};
use matrix_login::{BodyCollector, Pause, Transport};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, Headers, ReadableStreamDefaultReader, ReadableStreamReadResult, ReferrerPolicy, RequestCache,
    RequestCredentials, RequestInit, RequestRedirect, Window,
};

const TIME_LIMIT_IN_MILLISECONDS: u32 = 30_000;

pub struct Fetch(pub Window);

impl Transport for Fetch {
    type Body = Vec<u8>;
    type Error = Failure;

    async fn send(&mut self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Failure> {
        let promise = self.0.fetch_with_str_and_init(&request.uri().to_string(), &described(&request)?);
        let fetched: web_sys::Response = JsFuture::from(promise).await?.dyn_into()?;
        let mut head = Response::builder().status(fetched.status());
        for entry in js_sys::try_iter(&fetched.headers())?.into_iter().flatten() {
            head = with_header(head, &entry?.dyn_into()?);
        }
        let mut body = BodyCollector::default();
        if let Some(stream) = fetched.body() {
            let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
            while !body.is_full() {
                let read: ReadableStreamReadResult = JsFuture::from(reader.read()).await?.unchecked_into();
                if read.get_done() == Some(true) {
                    break;
                }
                body.push(read.get_value().dyn_into::<Uint8Array>()?.to_vec());
            }
            // This closes the connection if the body is longer.
            JsFuture::from(reader.cancel()).await?;
        }
        let (head, ()) = head.body(()).map_err(|error| Failure(error.to_string()))?.into_parts();
        Ok(body.into_response(head))
    }

    async fn pause(&mut self, pause: Pause<'_>) -> Result<(), Failure> {
        let remaining = pause.remaining_within(Duration::from_secs(60), 3, self.now());
        let milliseconds = remaining.map_err(|error| Failure(error.to_string()))?.as_millis() + 1;
        let milliseconds = milliseconds.try_into().unwrap_or(i32::MAX);
        let timer = Promise::new(&mut |resolve, reject| {
            if let Err(error) = self.0.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds) {
                let _ = reject.call1(&JsValue::UNDEFINED, &error);
            }
        });
        JsFuture::from(timer).await?;
        Ok(())
    }

    /// `SystemTime::now` panics in a browser.
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(Date::now() as u64)
    }
}

/// Everything that `fetch` must know of a request, except the URL.
fn described(request: &Request<Vec<u8>>) -> Result<RequestInit, Failure> {
    let described = RequestInit::new();
    described.set_method(request.method().as_str());
    let headers = Headers::new()?;
    for (name, value) in request.headers() {
        headers.append(name.as_str(), value.to_str().map_err(|error| Failure(error.to_string()))?)?;
    }
    described.set_headers_headers(&headers);
    if !request.body().is_empty() {
        described.set_body_opt_u8_array(Some(&Uint8Array::from(request.body().as_slice())));
    }
    // A script cannot see the target of a redirect. It can let the browser follow it: requests for this file have no
    // secrets.
    let is_well_known = request.uri().path() == "/.well-known/matrix/client";
    described.set_redirect(if is_well_known { RequestRedirect::Follow } else { RequestRedirect::Error });
    described.set_cache(RequestCache::NoStore);
    described.set_credentials(RequestCredentials::Omit);
    described.set_referrer_policy(ReferrerPolicy::NoReferrer);
    // The signal limits the time for the body too.
    described.set_signal(Some(&AbortSignal::timeout_with_u32(TIME_LIMIT_IN_MILLISECONDS)));
    Ok(described)
}

/// Adds a header, which is a pair of a name and a value. The browser has already decoded the body, so the header that
/// names the encoding is left out.
fn with_header(head: Builder, pair: &Array) -> Builder {
    let text = |index| pair.get(index).as_string().unwrap_or_default();
    if text(0) == "content-encoding" { head } else { head.header(text(0), text(1)) }
}

/// Why there is no response. The browser does not tell a page whether a server is down, forbids the page to read its
/// response, or redirects.
#[derive(Debug)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no response: {}", self.0)
    }
}

impl error::Error for Failure {}

impl From<JsValue> for Failure {
    fn from(thrown: JsValue) -> Self {
        Self(thrown.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{thrown:?}"), |error| error.to_string().into()))
    }
}
