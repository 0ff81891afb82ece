//! Proof Key for Code Exchange (RFC 7636), which the specification requires for the authorization code grant.

use std::fmt;

use crate::invalid_input::InvalidInput;

/// A code verifier and its challenge (RFC 7636, section 4). The challenge goes through the browser. The verifier goes
/// to the server together with the code, so that another program that sees the code cannot use it.
///
/// Use a new random verifier for every login, for instance 32 random bytes in base64url, which are 43 characters.
/// `Debug` shows neither the verifier nor the challenge.
#[derive(Clone)]
pub struct CodeVerifier {
    verifier: Box<str>,
    challenge: Box<str>,
}

impl CodeVerifier {
    /// Takes a verifier and computes its challenge with the method `S256`: SHA-256 in base64url. This function needs
    /// the feature `pkce`.
    ///
    /// ```
    /// use matrix_login::CodeVerifier;
    ///
    /// // The example of RFC 7636, appendix B.
    /// let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")?;
    /// assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    /// # Ok::<(), matrix_login::InvalidInput>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] unless the verifier has 43 to 128 characters of `A-Z`, `a-z`, `0-9`, `-`, `.`, `_` and `~`.
    #[cfg(feature = "pkce")]
    pub fn new(verifier: impl Into<String>) -> Result<Self, InvalidInput> {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        use sha2::{Digest as _, Sha256};

        let verifier = checked(verifier.into())?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        Ok(Self { verifier, challenge: challenge.into() })
    }

    /// Takes a verifier, and the challenge that the caller has computed: BASE64URL(SHA256(verifier)), without padding.
    /// If the challenge does not match the verifier, the server refuses the code.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] unless the verifier has 43 to 128 characters of `A-Z`, `a-z`, `0-9`, `-`, `.`, `_` and `~`, and
    /// the challenge is 43 characters of base64url.
    pub fn with_challenge(verifier: impl Into<String>, challenge: impl Into<String>) -> Result<Self, InvalidInput> {
        let (verifier, challenge) = (checked(verifier.into())?, challenge.into());
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if challenge.len() != 43 || !challenge.bytes().all(is_base64url) {
            let expected = "the SHA-256 of the verifier in base64url without padding, which is 43 characters";
            return Err(InvalidInput::new("code challenge", expected));
        }
        Ok(Self { verifier, challenge: challenge.into() })
    }

    /// A verifier and a challenge from a suspended flow. With the feature `pkce`, the challenge must match the
    /// verifier.
    pub(crate) fn kept(verifier: String, challenge: &str) -> Result<Self, InvalidInput> {
        let kept = Self::with_challenge(verifier, challenge)?;
        #[cfg(feature = "pkce")]
        if Self::new(&*kept.verifier)?.challenge != kept.challenge {
            return Err(InvalidInput::new("code challenge", "the challenge of the verifier"));
        }
        Ok(kept)
    }

    /// The challenge. It is public.
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// The verifier itself. The caller is responsible for where it goes.
    pub fn expose(&self) -> &str {
        &self.verifier
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

fn checked(verifier: String) -> Result<Box<str>, InvalidInput> {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
        let expected = "43 to 128 random characters of A-Z, a-z, 0-9, -, ., _ and ~";
        return Err(InvalidInput::new("code verifier", expected));
    }
    Ok(verifier.into())
}
