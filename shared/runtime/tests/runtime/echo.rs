//! An operation that says back what it was told, and waits and notifies bob when it is told to.

use chat_contract::v1::{LiveEvent, Message, SendMessageRequest, SendMessageResponse};
use chat_rpc::{Answer, CallContext, Failure, Notice, Operation};
use chat_runtime::{Settings, SettingsError};
use chrono::DateTime;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

pub(crate) struct Echo;

impl Operation for Echo {
    type Request = SendMessageRequest;
    const DELIVERS: bool = true;

    fn new(_settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self)
    }

    async fn call(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        let message = Message {
            sender_id: context.caller()?.user.to_string(),
            text: request.text.clone(),
            ..Message::default()
        };
        let response = SendMessageResponse {
            message: Some(message),
            deduplicated: false,
        };
        // Waits until whoever listens there closes the connection.
        if let Some(address) = request.text.strip_prefix("notify after ") {
            let gone = |_| Failure::unavailable("NOBODY_THERE", "nobody listens there");
            let mut gate = TcpStream::connect(address).await.map_err(gone)?;
            gate.read_to_end(&mut Vec::new()).await.map_err(gone)?;
        }
        match request.text.split(' ').next().unwrap_or_default() {
            "notify" => Ok(Answer::new(response).notify(Notice {
                recipients: vec![
                    "bob"
                        .parse()
                        .map_err(|_| Failure::internal("NO_BOB", "bob is no user id"))?,
                ],
                event: LiveEvent::default(),
                occurred_at: DateTime::UNIX_EPOCH,
            })),
            "panic" => panic!("a secret"),
            _ => Ok(response.into()),
        }
    }
}
