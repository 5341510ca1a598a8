//! One line that says what it reads.

use chat_contract::v1::{GetUserSettingsRequest, GetUserSettingsResponse};
use chat_operation::{Answer, CallContext, Failure, FromSettings, Operation};
use chat_stores::postgres::Postgres;

/// The RPC `GetUserSettings`.
#[derive(Debug, FromSettings)]
pub struct GetUserSettings {
    postgres: Postgres,
}

impl Operation for GetUserSettings {
    type Request = GetUserSettingsRequest;

    async fn call(
        &self,
        context: &CallContext,
        _: GetUserSettingsRequest,
    ) -> Result<Answer<GetUserSettingsResponse>, Failure> {
        let caller = &context.caller()?.user;
        let adders = self.postgres.lookup_user_settings(caller).await?;
        Ok(GetUserSettingsResponse {
            settings: Some(chat_view::user_settings(adders)),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
