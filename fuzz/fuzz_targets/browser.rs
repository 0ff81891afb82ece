//! The user of a login: the choice of an OAuth 2.0 grant, and the addresses that a browser comes back to.
//!
//! It is not a target: `flow` and `oauth` share it.

use arbitrary::Arbitrary;
use matrix_login::{Action, Choice, CodeVerifier, OAuthClient, Redirect};
use url::{Url, form_urlencoded};

use crate::responses::{ISSUER, SECRET};

pub const STATE: &str = "0123456789abcdef";
/// The device ID of a choice.
pub const CHOSEN_DEVICE_ID: &str = "CHOSENTABLET";
/// The verifier. It contains the secret, and has 43 characters.
pub const VERIFIER: &str = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-s";

/// The OAuth 2.0 client, which says who the program is.
#[derive(Arbitrary, Debug)]
pub enum Client {
    Registers,
    Registered,
}

impl Client {
    pub fn settings(&self) -> OAuthClient {
        match self {
            Self::Registers => OAuthClient::new("https://app.example.com/".parse().expect("it is a URL"), "Example"),
            Self::Registered => OAuthClient::registered("c+/=").expect("it is not empty"),
        }
    }
}

/// How the browser comes back with a code.
#[derive(Arbitrary, Debug)]
pub enum Way {
    Loopback,
    Web,
    WebInQuery,
    Scheme,
}

#[derive(Arbitrary, Debug)]
pub enum Callback {
    Ours,
    OtherState,
    NoState,
    TwoStates,
    NoToken,
    EmptyToken,
    TwoTokens,
    Code { in_fragment: bool, iss: Iss },
    OtherStateAndCode,
    TwoCodes,
    CodeInBoth,
    CodeAndError,
    Refused { iss: Iss },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Iss {
    None,
    Ours,
    Other,
}

/// The choice of the code grant, with a way back.
pub fn code_choice(way: &Way, register: bool) -> Choice {
    let (redirect_url, is_in_query) = match way {
        Way::Loopback => ("http://127.0.0.1:9/cb", false),
        Way::Web => ("https://app.example.com", false),
        Way::WebInQuery => ("https://app.example.com", true),
        Way::Scheme => ("com.example.app:/cb?a=b", false),
    };
    let redirect = Redirect::new(redirect_url, STATE).expect("the state is long enough");
    let redirect = if is_in_query { redirect.in_query() } else { redirect };
    let redirect = if register { redirect.with_action(Action::Register) } else { redirect };
    Choice::authorization_code(redirect, CodeVerifier::new(VERIFIER).expect("it is long enough"))
}

pub fn of_oauth(choice: Choice, device_id: bool, unlisted: bool) -> Choice {
    let choice = if unlisted { choice.unlisted() } else { choice };
    if device_id { choice.with_device_id(CHOSEN_DEVICE_ID).expect("it is OAuth") } else { choice }
}

/// The callback with this count. Each count has another code.
pub fn callback(callback: &Callback, count: usize) -> Url {
    let code = format!("state={STATE}&code={SECRET}-{count}");
    let with_iss = |text: String, iss: Iss| match iss {
        Iss::None => text,
        Iss::Ours => form_urlencoded::Serializer::new(text).append_pair("iss", ISSUER).finish(),
        Iss::Other => format!("{text}&iss=https%3A%2F%2Fauth.example.org"),
    };
    let query = match callback {
        Callback::Code { in_fragment: true, iss } => {
            let fragment = with_iss(code, *iss);
            return format!("http://127.0.0.1:9/cb?a=b#{fragment}").parse().expect("it is a URL");
        }
        Callback::Code { in_fragment: false, iss } => with_iss(code, *iss),
        Callback::OtherStateAndCode => format!("state=fedcba9876543210&code={SECRET}"),
        Callback::TwoCodes => format!("{code}&code=x"),
        Callback::CodeInBoth => {
            return format!("http://127.0.0.1:9/cb?{code}#{code}").parse().expect("it is a URL");
        }
        Callback::CodeAndError => format!("{code}&error=access_denied"),
        Callback::Refused { iss } => {
            with_iss(format!("error=access_denied&error_description=no%0Aand+no&state={STATE}"), *iss)
        }
        Callback::Ours => format!("a=b&state={STATE}&loginToken={SECRET}"),
        Callback::OtherState => format!("state=fedcba9876543210&loginToken={SECRET}"),
        Callback::NoState => format!("loginToken={SECRET}"),
        Callback::TwoStates => format!("state={STATE}&state={STATE}&loginToken={SECRET}"),
        Callback::NoToken => format!("state={STATE}"),
        Callback::EmptyToken => format!("state={STATE}&loginToken="),
        Callback::TwoTokens => format!("loginToken=x&state={STATE}&loginToken={SECRET}"),
    };
    format!("http://127.0.0.1:9/cb?{query}#c").parse().expect("it is a URL")
}
