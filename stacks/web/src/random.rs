//! Random values, which cannot be guessed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

pub fn random<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
