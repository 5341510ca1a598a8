//! How long a client waits for its call, as it says in a header.
//!
//! The function obeys the header, and counts from its start. API Gateway starts it at once; here a call may wait for a free
//! environment first, and what it has waited must not be added to the client's time.

use std::time::Duration;

use chat_rpc::timeout::{parse_connect, parse_grpc};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");
const CONNECT: HeaderName = HeaderName::from_static("connect-timeout-ms");

/// The time that a client gives its call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ClientTimeout {
    name: HeaderName,
    duration: Duration,
}

impl ClientTimeout {
    /// Reads the header that counts for the request's protocol. None: there is none, or one that the function refuses.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let is_grpc = headers
            .get(CONTENT_TYPE)
            .is_some_and(|content_type| content_type.as_bytes().starts_with(b"application/grpc"));
        let (name, read): (_, fn(&str) -> Option<Duration>) = if is_grpc {
            (GRPC, parse_grpc)
        } else {
            (CONNECT, parse_connect)
        };
        let duration = read(headers.get(&name)?.to_str().ok()?)?;
        Some(Self { name, duration })
    }

    /// How long the client waits.
    pub(crate) fn duration(&self) -> Duration {
        self.duration
    }

    /// The header for a function that starts when so much of the time has passed.
    pub(crate) fn after(&self, passed: Duration) -> (HeaderName, HeaderValue) {
        let left_ms = self.duration.saturating_sub(passed).as_millis();
        let value = if self.name == GRPC {
            format!("{}m", left_ms.min(10_u128.pow(8) - 1))
        } else {
            left_ms.to_string()
        };
        // Digits and a letter are a value that headers allow.
        let value = HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("0"));
        (self.name.clone(), value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &'static str, fields: &[(&'static str, &'static str)]) -> Option<ClientTimeout> {
        let fields = fields.iter().copied().chain([("content-type", content_type)]);
        let headers = fields.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        ClientTimeout::of(&headers.collect())
    }

    #[test]
    fn the_protocol_says_which_header_counts() {
        let both = [("grpc-timeout", "2S"), ("connect-timeout-ms", "1500")];
        for (content_type, duration_ms) in [
            ("application/grpc", 2_000),
            ("application/grpc-web+proto", 2_000),
            ("application/json", 1_500),
            ("application/proto", 1_500),
        ] {
            let timeout = read(content_type, &both).unwrap();
            assert_eq!(timeout.duration(), Duration::from_millis(duration_ms), "{content_type}");
        }
        assert_eq!(read("application/json", &[("grpc-timeout", "2S")]), None);
    }

    #[test]
    fn what_the_function_would_refuse_is_left_to_it() {
        for value in ["", "5", "-5S", "5x", "123456789m"] {
            assert_eq!(read("application/grpc", &[("grpc-timeout", value)]), None, "{value}");
        }
        for value in ["", "-5", "5m", "12345678901"] {
            assert_eq!(
                read("application/json", &[("connect-timeout-ms", value)]),
                None,
                "{value}"
            );
        }
    }

    #[test]
    fn what_has_passed_is_taken_off() {
        let passed = Duration::from_micros(300_100);
        let left = |content_type, field| {
            let (name, value) = read(content_type, &[field]).unwrap().after(passed);
            format!("{name}: {}", value.to_str().unwrap())
        };
        assert_eq!(left("application/grpc", ("grpc-timeout", "2S")), "grpc-timeout: 1699m");
        assert_eq!(left("application/grpc", ("grpc-timeout", "300m")), "grpc-timeout: 0m");
        assert_eq!(
            left("application/grpc", ("grpc-timeout", "99999999H")),
            "grpc-timeout: 99999999m"
        );
        assert_eq!(
            left("application/json", ("connect-timeout-ms", "1000")),
            "connect-timeout-ms: 699"
        );
    }
}
