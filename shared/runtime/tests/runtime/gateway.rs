//! What API Gateway makes of a function's answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) content_type: String,
    pub(crate) is_base64_encoded: bool,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(response: &[u8]) -> Self {
        let response: Value = serde_json::from_slice(response).unwrap();
        let body = response["body"].as_str().unwrap_or_default();
        let is_base64_encoded = response["isBase64Encoded"].as_bool().unwrap();
        Self {
            status: response["statusCode"].as_u64().unwrap(),
            content_type: response["headers"]["content-type"].as_str().unwrap().to_owned(),
            is_base64_encoded,
            body: if is_base64_encoded {
                STANDARD.decode(body).unwrap()
            } else {
                body.as_bytes().to_vec()
            },
        }
    }

    /// The status in the trailers at the end of the body.
    pub(crate) fn grpc_status(&self) -> u32 {
        let body = String::from_utf8_lossy(&self.body);
        let (_, status) = body.rsplit_once("grpc-status:").unwrap();
        status.split_once("\r\n").unwrap().0.parse().unwrap()
    }
}
