//! An operation that says back what it was told, and waits, notifies bob and seals when it is told to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_contract::v1::{LiveEvent, Message, SendMessageRequest, SendMessageResponse};
use chat_domain::ConversationId;
use chat_operation::{Answer, CallContext, Failure, FromSettings, Notice, Operation};
use chat_operation::{Settings, SettingsError};
use chrono::DateTime;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

#[derive(Default)]
pub(crate) struct Echo {
    /// Where sealing is to be seen.
    sealing: Mutex<String>,
}

impl Echo {
    fn sealing(&self) -> MutexGuard<'_, String> {
        self.sealing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FromSettings for Echo {
    fn from_settings(_settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self::default())
    }
}

impl Operation for Echo {
    type Request = SendMessageRequest;
    const DELIVERS: bool = true;

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
        let (said, sealing) = request.text.split_once(" sealing ").unwrap_or((&request.text, ""));
        // Waits until whoever listens there closes the connection.
        if let Some(address) = said.strip_prefix("notify after ") {
            let gone = |_| Failure::unavailable("NOBODY_THERE", "nobody listens there");
            let mut gate = TcpStream::connect(address).await.map_err(gone)?;
            gate.read_to_end(&mut Vec::new()).await.map_err(gone)?;
        }
        let notice = Notice {
            recipients: vec![
                "bob"
                    .parse()
                    .map_err(|_| Failure::internal("NO_BOB", "bob is no user id"))?,
            ]
            .into(),
            event: LiveEvent::default(),
            occurred_at: DateTime::UNIX_EPOCH,
        };
        let mut answer = Answer::new(response);
        if !sealing.is_empty() {
            sealing.clone_into(&mut self.sealing());
            answer.seal = vec![ConversationId::generate()];
        }
        match said.split(' ').next().unwrap_or_default() {
            "notify" => Ok(answer.notify(notice)),
            "tell" => Err(Failure::failed_precondition("TOLD", "bob is told all the same").notify(notice)),
            "panic" => panic!("a secret"),
            _ => Ok(answer),
        }
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        assert_eq!(conversations.len(), 1);
        let address = self.sealing().clone();
        assert_ne!(address, "nowhere", "a panic does no harm");
        let _ = TcpStream::connect(address).await;
    }
}
