//! Where a deployed function gets its settings from.

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// The text of the secret that this parameter names.
    Secret(&'static str),
    /// This parameter.
    Parameter(&'static str),
    /// A text with parameters in it, as `Fn::Sub` takes it.
    Text(&'static str),
    /// What it is told without the template: by Lambda, or by nobody where it has a default.
    Elsewhere,
}

/// A setting that some function asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) source: Source,
    /// A value of the right form, with which a function can be made to see what it asks for.
    pub(super) example: &'static str,
    /// The ARN of what it leads to, as `Fn::Sub` takes it; empty where nothing has to be allowed.
    pub(super) arn: &'static str,
    /// Whether it leads to a database, which is reached from within the subnets.
    pub(super) database: bool,
}

impl Setting {
    const fn new(name: &'static str, source: Source, example: &'static str) -> Self {
        Self {
            name,
            source,
            example,
            arn: "",
            database: false,
        }
    }

    const fn of_database(self) -> Self {
        Self { database: true, ..self }
    }

    const fn with_arn(self, arn: &'static str) -> Self {
        Self { arn, ..self }
    }
}

const POSTGRES: &str = "postgres://chat:secret@127.0.0.1:9/chat?sslmode=verify-full";
/// As Secrets Manager makes it: 64 letters and digits.
const KEY: &str = "9mXk2vQb7RtZ4wLs1HyNc8GdJf5PoTa3UeKi6VrBqWxYzMnDhSgCjEpAlFuOIv0q";

/// All settings that functions may ask for.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new("DATABASE_URL", Source::Secret("DatabaseUrlSecret"), POSTGRES).of_database(),
    Setting::new(
        "FUNCTIONS_DATABASE_URL",
        Source::Secret("FunctionsDatabaseUrlSecret"),
        POSTGRES,
    )
    .of_database(),
    Setting::new(
        "HEALTH_DATABASE_URL",
        Source::Secret("HealthDatabaseUrlSecret"),
        POSTGRES,
    )
    .of_database(),
    Setting::new("USER_BUDGET_FACTOR", Source::Parameter("UserBudgetFactor"), "1"),
    Setting::new(
        "MONGODB_URI",
        Source::Secret("MongodbUriSecret"),
        "mongodb://chat:secret@127.0.0.1:9/?tls=true",
    )
    .of_database(),
    Setting::new("MONGODB_DATABASE", Source::Parameter("MongodbDatabase"), "chat"),
    Setting::new("CONTENT_KEY", Source::Secret("ContentKey"), KEY),
    Setting::new("TICKET_KEY", Source::Secret("TicketKey"), KEY),
    Setting::new("LIVE_TABLE", Source::Parameter("LiveTable"), "chat-live")
        .with_arn("arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${LiveTable}"),
    Setting::new(
        "LIVE_ENDPOINT",
        Source::Text("https://${LiveApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live"),
        "https://example.execute-api.eu-west-1.amazonaws.com/live",
    )
    .with_arn("arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${LiveApi}/live"),
    Setting::new(
        "LIVE_URL",
        Source::Text("wss://${LiveApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live"),
        "wss://example.execute-api.eu-west-1.amazonaws.com/live",
    ),
    Setting::new(
        "DELIVERY_QUEUE_URL",
        Source::Parameter("DeliveryQueue"),
        "https://sqs.eu-west-1.amazonaws.com/123456789012/chat-deliveries",
    )
    .with_arn("${DeliveryQueueArn}"),
    Setting::new("AWS_REGION", Source::Elsewhere, "eu-west-1"),
    Setting::new("AWS_ACCESS_KEY_ID", Source::Elsewhere, "example"),
    Setting::new("AWS_SECRET_ACCESS_KEY", Source::Elsewhere, "example"),
    Setting::new("AWS_SESSION_TOKEN", Source::Elsewhere, "example"),
    // Only set where something stands in for AWS.
    Setting::new("AWS_ENDPOINT_URL", Source::Elsewhere, ""),
];

/// What is known about a setting.
pub(super) fn lookup(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
