//! Secrets: passwords and tokens.
//!
//! The types keep secrets out of `Debug`, `Display` and errors. They do not overwrite the memory when they are dropped:
//! the bytes of a request or a response go through the buffers of the driver anyway.

use http::HeaderValue;

use crate::invalid_input::InvalidInput;

/// A secret: no `Display`, `Eq` or `Serialize`, a `Debug` that hides it, and one way to read it.
macro_rules! secret {
    ($(#[$doc:meta])* $visibility:vis struct $type:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        $visibility struct $type(String);

        impl $type {
            /// The secret itself. The caller is responsible for where it goes.
            $visibility fn expose(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("[redacted]")
            }
        }
    };
}

pub(crate) use secret;

secret! {
    /// A password, as the user typed it.
    pub struct Password
}

secret! {
    /// A login token. Single sign-on or `get_token` grants it. `m.login.token` accepts it once, and only for a few
    /// minutes.
    pub struct LoginToken
}

secret! {
    /// An access token of a user or an application service. It is visible ASCII, so that it fits in a header.
    pub struct AccessToken
}

secret! {
    /// A refresh token. A client uses it to get the next access token.
    pub struct RefreshToken
}

/// The constructor of a secret that can be any text.
macro_rules! any_text {
    ($($type:ident),*) => {
        $(impl $type {
            /// Takes any text. The homeserver decides whether the text is right.
            pub fn new(secret: impl Into<String>) -> Self {
                Self(secret.into())
            }
        })*
    };
}

any_text!(Password, LoginToken, RefreshToken);

impl AccessToken {
    /// Takes a token that fits in a header.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the token is empty or contains a character that is not visible ASCII, for instance a line
    /// break from the file that it was read from.
    pub fn new(token: impl Into<String>) -> Result<Self, InvalidInput> {
        let token = token.into();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidInput::new("access token", "visible ASCII characters, without blanks or line breaks"));
        }
        Ok(Self(token))
    }

    /// The value of the `Authorization` header (specification, "Client Authentication"), marked as sensitive.
    ///
    /// The scheme is `Bearer` with a capital: Synapse refuses `bearer`.
    pub(crate) fn authorization(&self) -> HeaderValue {
        // The default is never used: `new` accepts only visible ASCII, and a header can contain all of it.
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}
