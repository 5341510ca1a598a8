//! The Connect protocol's unary form: the message is the body, and errors are JSON with an HTTP status. It lets curl and
//! plain HTTP clients in, on the same routes.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use chat_contract::{Rpc, json};
use chat_operation::{Answer, Failure, Operation};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message;
use serde_json::{Value, json};
use tonic::Status;

use crate::call::{Notices, admit, perform};
use crate::code::connect_name;
use crate::media::Form;
use crate::timeout;
use crate::unreadable::{REQUEST_BYTES_MAX, malformed_request, request_too_large};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROTO: HeaderValue = HeaderValue::from_static("application/proto");

/// Answers one request.
pub(crate) async fn serve<O: Operation>(operation: Arc<O>, request: Request<Bytes>, form: Form) -> Response<Bytes> {
    match call(operation, &request, form).await {
        Ok((body, notices)) => {
            let mut response = Response::new(body);
            response
                .headers_mut()
                .insert(CONTENT_TYPE, if form == Form::Json { JSON } else { PROTO });
            if !notices.0.is_empty() {
                response.extensions_mut().insert(notices);
            }
            response
        }
        Err(failure) => refusal(failure.into_status()),
    }
}

async fn call<O: Operation>(
    operation: Arc<O>,
    request: &Request<Bytes>,
    form: Form,
) -> Result<(Bytes, Notices), Failure> {
    let admitted = admit::<O>(request.extensions(), || timeout::connect(request.headers()))?;
    demand_supported(request.headers())?;
    if request.body().len() > REQUEST_BYTES_MAX {
        return Err(request_too_large());
    }
    let message = read::<O::Request>(request.body(), form)?;
    let Answer { response, notices, .. } = perform(operation, admitted, message).await?;
    Ok((write(&response, form)?, Notices(notices)))
}

fn demand_supported(headers: &HeaderMap) -> Result<(), Failure> {
    if headers
        .get("connect-protocol-version")
        .is_some_and(|version| version != "1")
    {
        return Err(malformed_request("connect-protocol-version must be 1"));
    }
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(Failure::unimplemented(
            "COMPRESSION_UNSUPPORTED",
            "compressed messages are not supported; send them as they are (identity)",
        ));
    }
    Ok(())
}

fn read<R: Rpc>(body: &Bytes, form: Form) -> Result<R, Failure> {
    match form {
        Form::Json => json::decode(body).map_err(|error| malformed_request(error.to_string())),
        Form::Proto => R::decode(body.as_ref()).map_err(|error| malformed_request(error.to_string())),
    }
}

fn write<M: Message + serde::Serialize>(message: &M, form: Form) -> Result<Bytes, Failure> {
    match form {
        Form::Proto => Ok(message.encode_to_vec().into()),
        // An enum value that the contract does not know has no name in JSON.
        Form::Json => serde_json::to_vec(message)
            .map(Bytes::from)
            .map_err(|_| Failure::internal("ENCODING", "the response cannot be written as JSON")),
    }
}

/// An error in Connect's form; the status goes along as an extension for the log.
fn refusal(status: Status) -> Response<Bytes> {
    let (name, http_status) = connect_name(status.code());
    let details = tonic_types::Status::decode(status.details())
        .map(|status| status.details)
        .unwrap_or_default();
    let details: Vec<Value> = details
        .iter()
        .map(|detail| {
            let name = detail
                .type_url
                .rsplit_once('/')
                .map_or(detail.type_url.as_str(), |(_, name)| name);
            json!({ "type": name, "value": STANDARD_NO_PAD.encode(&detail.value) })
        })
        .collect();
    let body = json!({ "code": name, "message": status.message(), "details": details });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = http_status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.extensions_mut().insert(status);
    response
}
