//! Replays a transcript: of a flow, of one endpoint, or of a session.

use serde_json::Value;

use super::{endpoint, flow, session, transcript::NoTranscript};

/// The lines that a transcript leads to.
///
/// # Errors
///
/// A description of what is not a transcript.
pub fn replay(transcript: &str) -> Result<Vec<Value>, NoTranscript> {
    let transcript: Value = serde_json::from_str(transcript)?;
    if transcript.get("endpoint").is_some() {
        endpoint::replay(&transcript)
    } else if transcript.get("session").is_some() {
        session::replay(&transcript)
    } else {
        flow::replay(&transcript)
    }
}
