//! Creates or updates the caller's own profile.

use chat_contract::v1::{UpsertProfileRequest, UpsertProfileResponse};
use chat_domain::{AvatarUrl, DisplayName, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{Postgres, ProfileUpdate};

/// The RPC `UpsertProfile`.
#[derive(Debug, FromSettings)]
pub struct UpsertProfile {
    postgres: Postgres,
}

impl Operation for UpsertProfile {
    type Request = UpsertProfileRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: UpsertProfileRequest,
    ) -> Result<Answer<UpsertProfileResponse>, Failure> {
        let user = &context.caller()?.user;
        let update = parse(request)?;
        let profile = self.postgres.upsert_profile(user, &update).await??.ok_or_else(|| {
            let mut fields = Fields::default();
            fields.take::<()>("display_name", Err(Violation::new("must be set in a first profile")));
            fields.refuse()
        })?;
        Ok(UpsertProfileResponse {
            profile: Some(chat_view::profile(profile)),
        }
        .into())
    }
}

/// Reads what to set: the fields of the mask, or both without one.
fn parse(request: UpsertProfileRequest) -> Result<ProfileUpdate, Failure> {
    let mut fields = Fields::default();
    let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    for path in &mask {
        if !matches!(path.as_str(), "display_name" | "avatar_url") {
            fields.take::<()>(
                "update_mask",
                Err(Violation::new("may only name \"display_name\" and \"avatar_url\"")),
            );
            break;
        }
    }
    let sets = |field: &str| mask.is_empty() || mask.iter().any(|path| path == field);
    let display_name = sets("display_name").then(|| DisplayName::parse(&request.display_name));
    let avatar_url = sets("avatar_url").then(|| AvatarUrl::parse(&request.avatar_url));
    let update = ProfileUpdate {
        display_name: display_name.and_then(|name| fields.take("display_name", name)),
        avatar_url: avatar_url.and_then(|url| fields.take("avatar_url", url)),
    };
    fields.accept(update)
}

#[cfg(test)]
mod tests;
