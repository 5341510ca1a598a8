//! Changes the caller's own settings.

use chat_contract::v1::{self, UpdateUserSettingsRequest, UpdateUserSettingsResponse};
use chat_domain::{GroupAdders, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

/// The RPC `UpdateUserSettings`.
#[derive(Debug, FromSettings)]
pub struct UpdateUserSettings {
    postgres: Postgres,
}

impl Operation for UpdateUserSettings {
    type Request = UpdateUserSettingsRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: UpdateUserSettingsRequest,
    ) -> Result<Answer<UpdateUserSettingsResponse>, Failure> {
        let caller = &context.caller()?.user;
        let adders = parse(request)?;
        let adders = self.postgres.update_user_settings(caller, Some(adders)).await??;
        Ok(UpdateUserSettingsResponse {
            settings: Some(chat_view::user_settings(adders)),
        }
        .into())
    }
}

/// Reads what to set.
fn parse(request: UpdateUserSettingsRequest) -> Result<GroupAdders, Failure> {
    let mut fields = Fields::default();
    let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    if mask.is_empty() || mask.iter().any(|path| path != "group_adders") {
        fields.take::<()>("update_mask", Err(Violation::new("must name \"group_adders\" alone")));
    }
    let value = request.settings.unwrap_or_default().group_adders;
    let adders = match v1::GroupAdders::try_from(value) {
        Ok(v1::GroupAdders::Friends) => Ok(GroupAdders::Friends),
        Ok(v1::GroupAdders::Anyone) => Ok(GroupAdders::Anyone),
        Ok(v1::GroupAdders::Nobody) => Ok(GroupAdders::Nobody),
        Ok(v1::GroupAdders::Unspecified) | Err(_) => Err(Violation::new(format!(
            "is {value}; it must be GROUP_ADDERS_FRIENDS, GROUP_ADDERS_ANYONE or GROUP_ADDERS_NOBODY"
        ))),
    };
    let adders = fields.take("settings.group_adders", adders);
    match adders {
        Some(adders) => fields.accept(adders),
        None => Err(fields.refuse()),
    }
}

#[cfg(test)]
mod tests;
