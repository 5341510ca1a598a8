//! How long the client waits, as it says in a header. What stands between a client and its function reads it as well.

use std::time::Duration;

use chat_operation::Failure;
use http::{HeaderMap, HeaderValue};

/// Digits in `grpc-timeout`, at most, by the gRPC specification.
const GRPC_DIGITS_MAX: usize = 8;
/// Digits in `connect-timeout-ms`, at most, by the Connect specification.
const CONNECT_DIGITS_MAX: usize = 10;

/// Reads `grpc-timeout`: up to 8 digits and a unit, such as `500m`.
pub(crate) fn grpc(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let timeout = value.to_str().ok().and_then(parse_grpc);
    timeout
        .map(Some)
        .ok_or_else(|| malformed("grpc-timeout", value, "1 to 8 digits and one of H, M, S, m, u, n"))
}

/// Reads `connect-timeout-ms`: up to 10 digits.
pub(crate) fn connect(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = headers.get("connect-timeout-ms") else {
        return Ok(None);
    };
    let timeout = value.to_str().ok().and_then(parse_connect);
    timeout
        .map(Some)
        .ok_or_else(|| malformed("connect-timeout-ms", value, "1 to 10 digits"))
}

/// The time that a value of `grpc-timeout` means; none for a malformed one.
pub fn parse_grpc(value: &str) -> Option<Duration> {
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number = digits(number, GRPC_DIGITS_MAX)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 60 * 60),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The time that a value of `connect-timeout-ms` means; none for a malformed one.
pub fn parse_connect(value: &str) -> Option<Duration> {
    digits(value, CONNECT_DIGITS_MAX).map(Duration::from_millis)
}

fn digits(text: &str, digits_max: usize) -> Option<u64> {
    // `parse` alone would take a sign.
    let valid = text.len() <= digits_max && text.bytes().all(|byte| byte.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

fn malformed(header: &str, value: &HeaderValue, expected: &str) -> Failure {
    let value: String = String::from_utf8_lossy(value.as_bytes()).chars().take(32).collect();
    Failure::invalid_argument(
        "MALFORMED_TIMEOUT",
        format!("{header} is {value:?}; it must be {expected}"),
    )
}
