//! The body of a response, chunk by chunk.

use std::fmt;

use http::Response;
use http::response::Parts;

use crate::endpoint::MAX_BODY;

/// Collects the body of a response, so that a server cannot fill the memory. It keeps at most one byte more than
/// [`MAX_BODY`]: with this byte, the flow sees that the body was too long.
///
/// ```
/// use matrix_login::{BodyCollector, MAX_BODY};
///
/// let mut body = BodyCollector::default();
/// for chunk in std::iter::repeat_n("x".repeat(1000), 1_000_000) {
///     body.push(chunk);
///     if body.is_full() {
///         break; // Stop reading.
///     }
/// }
/// let (head, ()) = http::Response::new(()).into_parts();
/// let response = body.into_response(head);
/// assert_eq!(response.body().len(), MAX_BODY + 1);
/// ```
#[derive(Default)]
pub struct BodyCollector {
    bytes: Vec<u8>,
}

impl BodyCollector {
    /// Adds a chunk. Bytes that do not fit are dropped.
    pub fn push(&mut self, chunk: impl AsRef<[u8]>) {
        let room = MAX_BODY.saturating_add(1).saturating_sub(self.bytes.len());
        self.bytes.extend(chunk.as_ref().iter().take(room));
    }

    /// Whether the body is already too long. Further chunks do not matter: stop reading, and close the connection.
    pub fn is_full(&self) -> bool {
        self.bytes.len() > MAX_BODY
    }

    /// The response, with the status and the headers that came before the body.
    pub fn into_response(self, head: Parts) -> Response<Vec<u8>> {
        Response::from_parts(head, self.bytes)
    }
}

/// Does not show the bytes, since they can contain a token.
impl fmt::Debug for BodyCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BodyCollector([{} bytes])", self.bytes.len())
    }
}
