//! How tonic reads and writes the messages of an operation.

use std::marker::PhantomData;

use bytes::BufMut;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::unreadable::malformed_request;

/// Bytes that tonic allocates before it knows a message's size. Most messages of chat fit; it grows for those that do not.
const BUFFER_BYTES: usize = 512;
/// Bytes after which tonic hands a response on. A whole one always leaves at once.
const YIELD_BYTES: usize = 32 * 1024;

/// A codec that refuses a message that it cannot read as the client's fault; tonic's own calls that INTERNAL.
pub(crate) struct MessageCodec<Request, Response>(PhantomData<(Request, Response)>);

impl<Request, Response> MessageCodec<Request, Response> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<Request, Response> Codec for MessageCodec<Request, Response>
where
    Request: Message + Default + Send + 'static,
    Response: Message + Send + 'static,
{
    type Encode = Response;
    type Decode = Request;
    type Encoder = MessageEncoder<Response>;
    type Decoder = MessageDecoder<Request>;

    fn encoder(&mut self) -> Self::Encoder {
        MessageEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(PhantomData)
    }
}

pub(crate) struct MessageEncoder<Response>(PhantomData<Response>);

impl<Response: Message> Encoder for MessageEncoder<Response> {
    type Item = Response;
    type Error = Status;

    fn encode(&mut self, item: Response, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // Field by field, a vector takes what is written much faster than tonic's buffer does.
        buffer.put_slice(&item.encode_to_vec());
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

pub(crate) struct MessageDecoder<Request>(PhantomData<Request>);

impl<Request: Message + Default> Decoder for MessageDecoder<Request> {
    type Item = Request;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Request>, Status> {
        Request::decode(buffer)
            .map(Some)
            .map_err(|error| malformed_request(error.to_string()).into_status())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
