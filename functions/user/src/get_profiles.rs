//! Reads profiles of any users.

use std::collections::{HashMap, HashSet};

use chat_contract::v1::{GetProfilesRequest, GetProfilesResponse};
use chat_domain::{PROFILES_PER_CALL_MAX, UserId, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

/// The RPC `GetProfiles`.
#[derive(Debug, FromSettings)]
pub struct GetProfiles {
    postgres: Postgres,
}

impl Operation for GetProfiles {
    type Request = GetProfilesRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: GetProfilesRequest,
    ) -> Result<Answer<GetProfilesResponse>, Failure> {
        context.caller()?;
        let users = parse(&request.user_ids)?;
        let mut profiles: HashMap<String, _> = self
            .postgres
            .list_profiles(&users)
            .await?
            .into_iter()
            .map(|row| (row.user_id.clone(), row))
            .collect();
        let profiles = users
            .iter()
            .filter_map(|user| profiles.remove(user.as_str()))
            .map(chat_view::profile)
            .collect();
        Ok(GetProfilesResponse { profiles }.into())
    }
}

fn parse(user_ids: &[String]) -> Result<Vec<UserId>, Failure> {
    let mut fields = Fields::default();
    // Repeated ids count once, where they come first.
    let mut seen = HashSet::new();
    let distinct: Vec<&String> = user_ids.iter().filter(|user| seen.insert(*user)).collect();
    if distinct.is_empty() || distinct.len() > PROFILES_PER_CALL_MAX {
        let problem = format!(
            "has {} different entries; 1 to {PROFILES_PER_CALL_MAX} are allowed",
            distinct.len()
        );
        fields.take::<()>("user_ids", Err(Violation::new(problem)));
        return Err(fields.refuse());
    }
    let users = distinct
        .into_iter()
        .filter_map(|user| fields.take("user_ids", user.parse()))
        .collect();
    fields.accept(users)
}

#[cfg(test)]
mod tests;
