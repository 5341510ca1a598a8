//! gRPC-web's frames: one flag byte, four length bytes, and the message or the trailers.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use chat_operation::Failure;
use http::{HeaderMap, HeaderName};
use tonic::Status;

use crate::unreadable::{REQUEST_BYTES_MAX, malformed_request, request_too_large};

const HEADER_BYTES: usize = 5;
const FLAG_COMPRESSED: u8 = 0b0000_0001;
const FLAG_TRAILERS: u8 = 0b1000_0000;

/// Bytes of base64 in a request, at most: chunks of a single byte take four characters each.
const TEXT_BYTES_MAX: usize = 4 * (HEADER_BYTES + REQUEST_BYTES_MAX);

/// What may be missing at the end of the last chunk only.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Demands that the body is exactly one uncompressed message.
pub(crate) fn demand_one_message(body: &[u8]) -> Result<(), Failure> {
    let Some((&[flags, ref length @ ..], message)) = body.split_first_chunk::<HEADER_BYTES>() else {
        return Err(malformed_request(format!(
            "the body has {} bytes; a gRPC-web frame has 5 or more",
            body.len()
        )));
    };
    if flags == FLAG_COMPRESSED {
        return Err(Failure::unimplemented(
            "COMPRESSION_UNSUPPORTED",
            "compressed messages are not supported; send them as they are (identity)",
        ));
    }
    if flags != 0 {
        return Err(malformed_request(format!(
            "the frame has the flags {flags:#04x}; a message has 0x00"
        )));
    }
    if message.len() > REQUEST_BYTES_MAX {
        return Err(request_too_large());
    }
    let length = u32::from_be_bytes(*length);
    if usize::try_from(length) != Ok(message.len()) {
        let actual = message.len();
        return Err(malformed_request(format!(
            "the frame announces {length} bytes, but {actual} follow"
        )));
    }
    Ok(())
}

/// Decodes base64 that may come as several padded chunks, one after the other.
pub(crate) fn decode_text(body: &[u8]) -> Result<Vec<u8>, Failure> {
    if body.len() > TEXT_BYTES_MAX {
        return Err(request_too_large());
    }
    let mut decoded = Vec::with_capacity(base64::decoded_len_estimate(body.len()));
    let mut rest = body;
    while !rest.is_empty() {
        // A chunk ends with the group of four that has its padding.
        let padding = rest.iter().position(|&byte| byte == b'=');
        let end = padding.map_or(rest.len(), |padding| rest.len().min((padding / 4 + 1) * 4));
        let (chunk, next) = rest.split_at(end);
        LENIENT
            .decode_vec(chunk, &mut decoded)
            .map_err(|_| malformed_request("the body is not base64"))?;
        rest = next;
    }
    Ok(decoded)
}

/// Encodes a whole response as one chunk.
pub(crate) fn encode_text(body: &[u8]) -> Bytes {
    STANDARD.encode(body).into()
}

/// The trailers of a response that has nothing but a status, which its headers hold.
pub(crate) fn status_trailers(headers: &HeaderMap) -> Bytes {
    const NAMES: [HeaderName; 3] = [Status::GRPC_STATUS, Status::GRPC_MESSAGE, Status::GRPC_STATUS_DETAILS];
    let mut frame = BytesMut::with_capacity(256);
    frame.put_slice(&[FLAG_TRAILERS, 0, 0, 0, 0]);
    for name in NAMES {
        if let Some(value) = headers.get(&name) {
            frame.put_slice(name.as_ref());
            frame.put_u8(b':');
            frame.put_slice(value.as_bytes());
            frame.put_slice(b"\r\n");
        }
    }
    let length = u32::try_from(frame.len() - HEADER_BYTES).unwrap_or(u32::MAX);
    if let Some(bytes) = frame.get_mut(1..HEADER_BYTES) {
        bytes.copy_from_slice(&length.to_be_bytes());
    }
    frame.freeze()
}
