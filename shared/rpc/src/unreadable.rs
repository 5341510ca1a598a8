//! The refusal of what cannot be read.

use chat_operation::Failure;

/// Bytes of a request's message, at most. The largest legal one is some 20 KiB.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// Refuses a body that is not what the content type says.
pub(crate) fn malformed_request(problem: impl std::fmt::Display) -> Failure {
    Failure::invalid_argument("MALFORMED_REQUEST", format!("the request cannot be read: {problem}"))
}

/// Refuses a message of more than [`REQUEST_BYTES_MAX`].
pub(crate) fn request_too_large() -> Failure {
    Failure::invalid_argument(
        "REQUEST_TOO_LARGE",
        format!("the request's message is too large; at most {REQUEST_BYTES_MAX} bytes are allowed"),
    )
}
