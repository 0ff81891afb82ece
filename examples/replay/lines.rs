//! Replays a transcript, be it of a flow or of one endpoint.

use serde_json::Value;

use super::{endpoint, flow, transcript::NoTranscript};

/// The lines that a transcript leads to.
///
/// # Errors
///
/// A description of what is no transcript.
pub fn replay(transcript: &str) -> Result<Vec<Value>, NoTranscript> {
    let transcript: Value = serde_json::from_str(transcript)?;
    if transcript.get("endpoint").is_some() { endpoint::replay(&transcript) } else { flow::replay(&transcript) }
}
