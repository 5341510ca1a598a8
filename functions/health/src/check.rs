//! Tells whether the service can do its work: whether its databases answer.

use std::time::Duration;

use chat_contract::Rpc;
use chat_contract::health::health_check_response::ServingStatus;
use chat_contract::health::{HealthCheckRequest, HealthCheckResponse};
use chat_contract::v1;
use chat_operation::{Answer, CallContext, Failure, FromSettings, Operation};
use chat_stores::mongo::Timeline;
use chat_stores::postgres::Probe;
use tokio::time::timeout;

/// How long a database may take before it counts as not serving. Whoever asks for health wants to know soon.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The services that can be asked for. All need both databases, so all have the same health.
const SERVICES: [&str; 6] = [
    <HealthCheckRequest as Rpc>::SERVICE,
    <v1::UpsertProfileRequest as Rpc>::SERVICE,
    <v1::RequestFriendRequest as Rpc>::SERVICE,
    <v1::OpenDirectConversationRequest as Rpc>::SERVICE,
    <v1::SendMessageRequest as Rpc>::SERVICE,
    <v1::CreateLiveTicketRequest as Rpc>::SERVICE,
];

/// The RPC `grpc.health.v1.Health/Check`.
#[derive(Debug, FromSettings)]
pub struct Check {
    postgres: Probe,
    timeline: Timeline,
}

impl Operation for Check {
    type Request = HealthCheckRequest;

    const PUBLIC: bool = true;

    async fn call(
        &self,
        _context: &CallContext,
        request: HealthCheckRequest,
    ) -> Result<Answer<HealthCheckResponse>, Failure> {
        if !request.service.is_empty() && !SERVICES.contains(&request.service.as_str()) {
            return Err(Failure::not_found(
                "SERVICE_UNKNOWN",
                "this server has no service of that name",
            ));
        }
        let (postgres, timeline) = tokio::join!(
            timeout(PING_TIMEOUT, self.postgres.ping()),
            timeout(PING_TIMEOUT, self.timeline.ping())
        );
        let mut status = ServingStatus::Serving;
        for (database, answered) in [("Postgres", postgres), ("MongoDB", timeline)] {
            match answered {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    error.log();
                    status = ServingStatus::NotServing;
                }
                Err(_) => {
                    tracing::error!(database, "a database did not answer a ping in time");
                    status = ServingStatus::NotServing;
                }
            }
        }
        Ok(HealthCheckResponse { status: status.into() }.into())
    }
}

#[cfg(test)]
mod tests;
