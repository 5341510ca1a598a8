//! An operation that does what the text of its request says.

use std::time::Duration;

use chat_contract::v1::{LiveEvent, Message, SendMessageRequest, SendMessageResponse};
use chat_domain::{MessageText, PageSize, UserId};
use chat_operation::{Answer, CallContext, Failure, Fields, Notice, Operation};
use chrono::DateTime;

/// Says back what it was told, unless it was told something else.
#[derive(Debug)]
pub(crate) struct Echo;

/// The same without a token.
#[derive(Debug)]
pub(crate) struct PublicEcho;

pub(crate) fn request(text: &str) -> SendMessageRequest {
    SendMessageRequest {
        text: text.to_owned(),
        ..SendMessageRequest::default()
    }
}

pub(crate) fn response(sender: &str, text: &str) -> SendMessageResponse {
    let message = Message {
        sender_id: sender.to_owned(),
        text: text.to_owned(),
        ..Message::default()
    };
    SendMessageResponse {
        message: Some(message),
        deduplicated: false,
    }
}

pub(crate) fn notice() -> Notice {
    Notice {
        recipients: vec!["bob".parse::<UserId>().unwrap()].into(),
        event: LiveEvent {
            revision: 7,
            ..LiveEvent::default()
        },
        occurred_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
    }
}

impl Operation for Echo {
    type Request = SendMessageRequest;
    const DELIVERS: bool = true;
    const FINISHES: bool = false;

    async fn call(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        let caller = context.caller()?;
        let answer = Answer::new(response(caller.user.as_str(), &request.text));
        match request.text.as_str() {
            "notify" => Ok(answer.notify(notice())),
            "panic" => panic!("a secret"),
            "refuse" => {
                let mut fields = Fields::default();
                fields.take("text", MessageText::parse(""));
                fields.take("page_size", PageSize::parse(-1));
                Err(fields.refuse())
            }
            "limit" => Err(Failure::resource_exhausted("TOO_MANY", "zu viele, 100 % voll").with_metadata("max", "5")),
            "wait" => {
                tokio::time::sleep(Duration::from_hours(1)).await;
                Ok(answer)
            }
            "expiry" => Ok(response(&format!("{:?}", caller.token_expires_at), "expiry").into()),
            _ => Ok(answer),
        }
    }
}

impl Operation for PublicEcho {
    type Request = SendMessageRequest;
    const PUBLIC: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        let caller = context.caller().map_or("nobody", |caller| caller.user.as_str());
        Ok(response(caller, &request.text).into())
    }
}
