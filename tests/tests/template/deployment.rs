//! The contract, the code and `template.yaml` name the same operations, and functions get what they need, no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::document::template;
use crate::{root, workspace_packages};

/// CloudFormation takes 500 resources and 1 MB: split the stack by service before it is full.
const RESOURCES_MAX: usize = 450;
const TEMPLATE_BYTES_MAX: usize = 800_000;

/// The HTTP API gives up after 30 s.
const API_TIMEOUT_SECONDS_MAX: u64 = 29;

/// The RPC that anybody may call.
pub(crate) const OPEN_RPC: &str = "/grpc.health.v1.Health/Check";

/// Functions that no RPC calls, with the route of the live socket that does.
const TRIGGERS: &[(&str, Option<&str>)] = &[
    ("AuthorizeSocket", None),
    ("Connect", Some("$connect")),
    ("Disconnect", Some("$disconnect")),
    ("Default", Some("$default")),
    ("Migrate", None),
];

/// Functions that close live connections; all others that reach them post.
const CLOSING: &[&str] = &["Connect", "Default"];

pub(crate) struct Rpc {
    /// Such as `SendMessage`.
    pub(crate) name: String,
    /// Such as `/chat.v1.MessageService/SendMessage`.
    pub(crate) path: String,
    /// The crate's folder below `functions/`, such as `message`.
    pub(crate) folder: String,
}

/// Every RPC of `proto/`.
pub(crate) fn rpcs() -> Vec<Rpc> {
    let proto = root().join("proto");
    let mut files = Vec::new();
    let mut folders = vec![proto.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    let descriptors = protox::compile(&files, [&proto]).unwrap();
    let mut rpcs = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            let folder = service
                .name()
                .strip_suffix("Service")
                .unwrap_or(service.name())
                .to_lowercase();
            for method in &service.method {
                rpcs.push(Rpc {
                    name: method.name().to_owned(),
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    folder: folder.clone(),
                });
            }
        }
    }
    assert!(!rpcs.is_empty(), "proto/ names no RPC");
    rpcs
}

/// The names of all functions, as in `SendMessage`.
pub(crate) fn function_names() -> BTreeSet<String> {
    rpcs()
        .into_iter()
        .map(|rpc| rpc.name)
        .chain(TRIGGERS.iter().map(|(name, _)| (*name).to_owned()))
        .collect()
}

/// `SendMessage` with its words in lower case, joined: `send-message`.
pub(crate) fn words(name: &str, joint: char) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(joint);
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn resources_of_type(template: &Value, kind: &str) -> BTreeMap<String, Value> {
    template["Resources"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.clone(), resource.clone()))
        .collect()
}

/// A function's property, its own or the one that all have.
fn function_property(template: &Value, name: &str, property: &str) -> Value {
    match &template["Resources"][format!("{name}Function")]["Properties"][property] {
        Value::Null => template["Globals"]["Function"][property].clone(),
        own => own.clone(),
    }
}

/// The variables that only this function has.
pub(crate) fn environment(template: &Value, name: &str) -> BTreeMap<String, Value> {
    template["Resources"][format!("{name}Function")]["Properties"]["Environment"]["Variables"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(variable, value)| (variable.clone(), value.clone()))
        .collect()
}

fn get_att(resource: &str, attribute: &str) -> Value {
    json!({ "Fn::GetAtt": format!("{resource}.{attribute}") })
}

pub(crate) fn reference(name: &str) -> Value {
    json!({ "Ref": name })
}

/// The text of a secret, which CloudFormation puts in when it deploys.
fn secret(name: &str) -> Value {
    json!({ "Fn::Sub": format!("{{{{resolve:secretsmanager:${{{name}}}:SecretString}}}}") })
}

/// The statements of a role's own policies, which allow things only.
fn statements(role: &Value) -> Vec<Value> {
    let mut statements = Vec::new();
    for policy in role["Properties"]["Policies"].as_array().unwrap() {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            assert_eq!(
                statement["Effect"], "Allow",
                "a role's own policies allow only: {statement}"
            );
            statements.push(statement.clone());
        }
    }
    statements
}

/// Every text within a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(entries) => entries.values().for_each(|entry| texts(entry, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn every_rpc_has_an_operation_file_and_a_binary() {
    let functions = root().join("functions");
    let missing: Vec<String> = rpcs()
        .iter()
        .flat_map(|rpc| {
            let source = Path::new(&rpc.folder).join("src");
            [
                source.join(format!("{}.rs", words(&rpc.name, '_'))),
                source.join("bin").join(format!("{}.rs", words(&rpc.name, '-'))),
            ]
        })
        .filter(|file| !functions.join(file).is_file())
        .map(|file| file.display().to_string())
        .collect();
    assert!(missing.is_empty(), "missing below functions/: {missing:#?}");
}

#[test]
fn every_binary_of_the_functions_is_an_rpc_or_a_trigger() {
    let functions = root().join("functions");
    let mut binaries = BTreeSet::new();
    for package in workspace_packages() {
        if Path::new(package["manifest_path"].as_str().unwrap()).starts_with(&functions) {
            for target in package["targets"].as_array().unwrap() {
                if target["kind"] == json!(["bin"]) {
                    binaries.insert(target["name"].as_str().unwrap().to_owned());
                }
            }
        }
    }
    let expected: BTreeSet<String> = function_names().iter().map(|name| words(name, '-')).collect();
    assert_eq!(binaries, expected);
}

#[test]
fn functions_of_the_template_are_the_rpcs_and_the_triggers() {
    let (template, _) = template();
    let functions: BTreeSet<String> = resources_of_type(&template, "AWS::Serverless::Function")
        .into_keys()
        .collect();
    let expected: BTreeSet<String> = function_names().iter().map(|name| format!("{name}Function")).collect();
    assert_eq!(functions, expected);

    for name in function_names() {
        let binary = words(&name, '-');
        let function = &template["Resources"][format!("{name}Function")];
        assert_eq!(
            function["Metadata"]["SkipBuild"], true,
            "{name} is built by the root build"
        );
        assert_eq!(
            function["Properties"]["CodeUri"],
            format!("target/lambda/{binary}/"),
            "{name}"
        );
        let function_name = json!({ "Fn::Sub": format!("${{AWS::StackName}}-{binary}") });
        assert_eq!(function["Properties"]["FunctionName"], function_name, "{name}");
        for property in ["Runtime", "Architectures", "Handler"] {
            assert_eq!(
                function["Properties"][property],
                Value::Null,
                "{name}: {property} is the same for all"
            );
        }
        // What SAM would make more resources of, uncounted and unseen.
        for property in [
            "Events",
            "Policies",
            "AutoPublishAlias",
            "Connectors",
            "FunctionUrlConfig",
            "DeadLetterQueue",
        ] {
            assert_eq!(
                function["Properties"][property],
                Value::Null,
                "{name}: spell out what {property} stands for"
            );
        }
    }
    let all = &template["Globals"]["Function"];
    assert_eq!(all["Runtime"], "provided.al2023");
    assert_eq!(all["Architectures"], json!(["arm64"]));
    assert_eq!(all["Handler"], "bootstrap");
    assert_eq!(all["Tracing"], "Active");
}

#[test]
fn routes_of_the_api_are_the_rpcs() {
    let (template, _) = template();
    let routes: BTreeMap<String, Value> = resources_of_type(&template, "AWS::ApiGatewayV2::Route")
        .into_iter()
        .filter(|(_, route)| route["Properties"]["ApiId"] == reference("Api"))
        .collect();
    let expected: BTreeSet<String> = rpcs().iter().map(|rpc| format!("{}Route", rpc.name)).collect();
    assert_eq!(routes.keys().cloned().collect::<BTreeSet<_>>(), expected);

    for rpc in rpcs() {
        let Rpc { name, path, .. } = rpc;
        let route = &routes[&format!("{name}Route")]["Properties"];
        assert_eq!(route["RouteKey"], format!("POST {path}"));
        assert_eq!(
            route["Target"],
            json!({ "Fn::Sub": format!("integrations/${{{name}Integration}}") })
        );

        let integration = &template["Resources"][format!("{name}Integration")];
        assert_eq!(integration["Type"], "AWS::ApiGatewayV2::Integration", "{name}");
        let integration = &integration["Properties"];
        assert_eq!(integration["ApiId"], reference("Api"), "{name}");
        assert_eq!(integration["IntegrationType"], "AWS_PROXY", "{name}");
        assert_eq!(
            integration["IntegrationUri"],
            get_att(&format!("{name}Function"), "Arn")
        );
        assert_eq!(integration["PayloadFormatVersion"], "2.0", "{name}");
        assert_eq!(integration["CredentialsArn"], get_att("ApiRole", "Arn"), "{name}");
    }
}

#[test]
fn every_route_but_the_health_check_requires_a_token() {
    let (template, _) = template();
    for rpc in rpcs() {
        let route = &template["Resources"][format!("{}Route", rpc.name)]["Properties"];
        if rpc.path == OPEN_RPC {
            assert_eq!(route["AuthorizationType"], "NONE");
            let throttling =
                &template["Resources"]["ApiStage"]["Properties"]["RouteSettings"][format!("POST {OPEN_RPC}")];
            assert!(
                throttling["ThrottlingRateLimit"].is_u64(),
                "what anybody may call is throttled by itself"
            );
        } else {
            assert_eq!(route["AuthorizationType"], "JWT", "{}", rpc.path);
            assert_eq!(route["AuthorizerId"], reference("JwtAuthorizer"), "{}", rpc.path);
        }
    }
    let authorizer = &template["Resources"]["JwtAuthorizer"]["Properties"];
    assert_eq!(authorizer["AuthorizerType"], "JWT");
    assert_eq!(authorizer["IdentitySource"], json!(["$request.header.Authorization"]));
    assert_eq!(authorizer["JwtConfiguration"]["Issuer"], reference("JwtIssuer"));
    assert_eq!(authorizer["JwtConfiguration"]["Audience"], reference("JwtAudience"));
}

#[test]
fn pages_may_send_what_every_protocol_of_the_endpoint_reads() {
    let (template, _) = template();
    let cors = &template["Resources"]["Api"]["Properties"]["CorsConfiguration"];
    let headers = [
        "authorization",
        "baggage",
        "connect-protocol-version",
        "connect-timeout-ms",
        "content-type",
        "grpc-accept-encoding",
        "grpc-timeout",
        "traceparent",
        "tracestate",
        "x-grpc-web",
        "x-user-agent",
    ];
    assert_eq!(cors["AllowHeaders"], json!(headers));
}

#[test]
fn the_role_that_calls_functions_is_taken_on_by_the_gateway_without_a_condition() {
    let (template, _) = template();
    let trust = &template["Resources"]["ApiRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"];
    let expected = json!([{
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }]);
    // With aws:SourceAccount, which it does not send, every call would be answered 500.
    assert_eq!(trust, &expected);
}

#[test]
fn functions_cannot_be_told_to_log_what_was_said() {
    let (template, _) = template();
    let levels = &template["Parameters"]["LogLevel"]["AllowedValues"];
    assert_eq!(*levels, json!(["DEBUG", "INFO", "WARN", "ERROR"]));
}

#[test]
fn routes_of_the_live_socket_are_the_triggers() {
    let (template, _) = template();
    let routes: BTreeMap<String, Value> = resources_of_type(&template, "AWS::ApiGatewayV2::Route")
        .into_iter()
        .filter(|(_, route)| route["Properties"]["ApiId"] == reference("LiveApi"))
        .collect();
    let triggers: Vec<(&str, &str)> = TRIGGERS
        .iter()
        .filter_map(|(name, key)| Some((*name, (*key)?)))
        .collect();
    assert_eq!(routes.len(), triggers.len());

    for (name, key) in triggers {
        let route = &routes[&format!("{name}Route")]["Properties"];
        assert_eq!(route["RouteKey"], key);
        assert_eq!(
            route["Target"],
            json!({ "Fn::Sub": format!("integrations/${{{name}Integration}}") })
        );
        let integration = &template["Resources"][format!("{name}Integration")]["Properties"];
        assert_eq!(integration["ApiId"], reference("LiveApi"), "{name}");
        assert_eq!(integration["IntegrationType"], "AWS_PROXY", "{name}");
        assert_eq!(integration["CredentialsArn"], get_att("ApiRole", "Arn"), "{name}");
        let uri = integration["IntegrationUri"]["Fn::Sub"].as_str().unwrap();
        assert!(
            uri.ends_with(&format!("/functions/${{{name}Function.Arn}}/invocations")),
            "{name}: {uri}"
        );
    }
    assert_eq!(routes["ConnectRoute"]["Properties"]["AuthorizationType"], "CUSTOM");
    assert_eq!(
        routes["ConnectRoute"]["Properties"]["AuthorizerId"],
        reference("SocketAuthorizer")
    );
    let authorizer = &template["Resources"]["SocketAuthorizer"]["Properties"];
    assert_eq!(authorizer["AuthorizerType"], "REQUEST");
    assert_eq!(
        authorizer["IdentitySource"],
        json!(["route.request.header.Sec-WebSocket-Protocol"])
    );
    let uri = authorizer["AuthorizerUri"]["Fn::Sub"].as_str().unwrap();
    assert!(
        uri.ends_with("/functions/${AuthorizeSocketFunction.Arn}/invocations"),
        "{uri}"
    );

    // A reply on the socket needs both: the route selects its response, and the response exists.
    assert_eq!(
        routes["DefaultRoute"]["Properties"]["RouteResponseSelectionExpression"],
        "$default"
    );
    let response = &template["Resources"]["DefaultRouteResponse"]["Properties"];
    assert_eq!(response["RouteId"], reference("DefaultRoute"));
    assert_eq!(response["RouteResponseKey"], "$default");
}

#[test]
fn the_gateway_may_call_every_function_but_migrate() {
    let (template, _) = template();
    let statements = statements(&template["Resources"]["ApiRole"]);
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0]["Action"], json!(["lambda:InvokeFunction"]));
    let mut allowed: Vec<String> = statements[0]["Resource"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    allowed.sort();
    let mut expected: Vec<String> = function_names()
        .iter()
        .filter(|name| *name != "Migrate")
        .map(|name| get_att(&format!("{name}Function"), "Arn").to_string())
        .collect();
    expected.sort();
    assert_eq!(allowed, expected);
}

#[test]
fn all_functions_are_told_the_log_level_and_nothing_else() {
    let (template, _) = template();
    let all = &template["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(*all, json!({ "RUST_LOG": reference("LogLevel") }));
}

#[test]
fn variables_hold_references_and_never_a_secret() {
    let (template, _) = template();
    let stage = template["Resources"]["LiveStage"]["Properties"]["StageName"]
        .as_str()
        .unwrap();
    let host = "${LiveApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}";
    for name in function_names() {
        for (variable, value) in environment(&template, &name) {
            let expected = match variable.as_str() {
                // Who owns the database can do anything with it: that is for migrate, and what anybody may call sees nothing.
                "DATABASE_URL" => secret(match name.as_str() {
                    "Migrate" => "DatabaseUrlSecret",
                    "Check" => "HealthDatabaseUrlSecret",
                    _ => "FunctionsDatabaseUrlSecret",
                }),
                "FUNCTIONS_DATABASE_URL" if name == "Migrate" => secret("FunctionsDatabaseUrlSecret"),
                "HEALTH_DATABASE_URL" if name == "Migrate" => secret("HealthDatabaseUrlSecret"),
                "MONGODB_URI" => secret("MongodbUriSecret"),
                "TICKET_KEY" => secret("TicketKey"),
                "CONTENT_KEY" => secret("ContentKey"),
                "USER_BUDGET_FACTOR" => reference("UserBudgetFactor"),
                "MONGODB_DATABASE" => reference("MongodbDatabase"),
                "LIVE_TABLE" => reference("LiveTable"),
                "LIVE_ENDPOINT" => json!({ "Fn::Sub": format!("https://{host}/{stage}") }),
                "LIVE_URL" => json!({ "Fn::Sub": format!("wss://{host}/{stage}") }),
                other => panic!("{name}: nothing is known about {other}"),
            };
            assert_eq!(value, expected, "{name}: {variable}");
        }
    }
    for key in ["TicketKey", "ContentKey"] {
        let key = &template["Resources"][key]["Properties"]["GenerateSecretString"];
        assert_eq!(key["ExcludePunctuation"], true, "letters and digits are also base64");
        let letters = key["PasswordLength"].as_u64().unwrap();
        assert!(
            letters.is_multiple_of(4) && letters / 4 * 3 >= 32,
            "{letters} letters are no base64 of 32 bytes or more"
        );
    }
}

#[test]
fn every_function_that_reads_a_secret_is_renewed_with_the_secrets_revision() {
    let (template, _) = template();
    for name in function_names() {
        let reads = environment(&template, &name)
            .values()
            .any(|value| value.to_string().contains("{{resolve:"));
        let description = function_property(&template, &name, "Description").to_string();
        assert_eq!(
            description.contains("${SecretsRevision}"),
            reads,
            "{name}: {description}"
        );
    }
}

#[test]
fn only_functions_that_use_a_database_are_in_the_vpc() {
    let (template, _) = template();
    for name in function_names() {
        let environment = environment(&template, &name);
        let uses_database = environment.contains_key("DATABASE_URL") || environment.contains_key("MONGODB_URI");
        let vpc = function_property(&template, &name, "VpcConfig");
        assert_eq!(vpc != reference("AWS::NoValue"), uses_database, "{name}: {vpc}");
        let policies = &template["Resources"][format!("{name}Role")]["Properties"]["ManagedPolicyArns"];
        assert_eq!(
            policies.to_string().contains("NetworkPolicy"),
            uses_database,
            "{name}: {policies}"
        );
    }
}

#[test]
fn every_function_has_a_role_of_its_own_with_exact_actions_on_exact_resources() {
    let (template, _) = template();
    for name in function_names() {
        assert_eq!(
            function_property(&template, &name, "Role"),
            get_att(&format!("{name}Role"), "Arn")
        );
        let role = &template["Resources"][format!("{name}Role")];
        assert_eq!(role["Type"], "AWS::IAM::Role", "{name}");

        let environment = environment(&template, &name);
        let table = get_att("LiveTable", "Arn");
        let mut expected = vec![(
            json!(["logs:CreateLogStream", "logs:PutLogEvents"]),
            get_att(&format!("{name}Logs"), "Arn"),
        )];
        let closes = CLOSING.contains(&name.as_str());
        if environment.contains_key("LIVE_ENDPOINT") && !closes {
            expected.push((json!(["dynamodb:BatchGetItem", "dynamodb:UpdateItem"]), table));
        } else if environment.contains_key("LIVE_TABLE") {
            expected.push((json!(["dynamodb:UpdateItem"]), table));
        }
        if environment.contains_key("LIVE_ENDPOINT") {
            let stage = template["Resources"]["LiveStage"]["Properties"]["StageName"]
                .as_str()
                .unwrap();
            let method = if closes { "DELETE" } else { "POST" };
            let connections = format!(
                "arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{LiveApi}}/{stage}/{method}/@connections/*"
            );
            expected.push((
                json!(["execute-api:ManageConnections"]),
                json!({ "Fn::Sub": connections }),
            ));
        }
        let allowed: Vec<(Value, Value)> = statements(role)
            .iter()
            .map(|statement| (statement["Action"].clone(), statement["Resource"].clone()))
            .collect();
        assert_eq!(allowed, expected, "{name}");
    }
}

#[test]
fn a_star_stands_only_where_a_service_knows_no_resources() {
    let (template, _) = template();
    // X-Ray's writes and EC2's describe actions take no resource.
    let starred_actions = [
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
    ];
    for (name, policy) in resources_of_type(&template, "AWS::IAM::ManagedPolicy") {
        for statement in policy["Properties"]["PolicyDocument"]["Statement"].as_array().unwrap() {
            let mut actions = Vec::new();
            texts(&statement["Action"], &mut actions);
            assert!(
                actions.iter().all(|action| !action.contains('*')),
                "{name}: {actions:?}"
            );
            if statement["Effect"] == "Allow" && statement["Resource"] == "*" {
                let unknown: Vec<_> = actions
                    .iter()
                    .filter(|action| !starred_actions.contains(&action.as_str()))
                    .collect();
                assert!(unknown.is_empty(), "{name} allows {unknown:?} on everything");
            }
        }
    }
    for (name, role) in resources_of_type(&template, "AWS::IAM::Role") {
        for statement in statements(&role) {
            let (mut actions, mut resources) = (Vec::new(), Vec::new());
            texts(&statement["Action"], &mut actions);
            texts(&statement["Resource"], &mut resources);
            assert!(
                actions.iter().all(|action| !action.contains('*')),
                "{name}: {actions:?}"
            );
            assert!(
                resources.iter().all(|resource| resource != "*"),
                "{name}: {actions:?} on everything"
            );
        }
        let policies = role["Properties"]["ManagedPolicyArns"].to_string();
        assert!(
            !policies.contains(":aws:policy/"),
            "{name}: AWS's own policies allow more than is needed: {policies}"
        );
    }
}

#[test]
fn every_log_group_expires_and_every_functions_errors_are_counted() {
    let (template, _) = template();
    for (name, group) in resources_of_type(&template, "AWS::Logs::LogGroup") {
        assert_eq!(
            group["Properties"]["RetentionInDays"],
            reference("LogRetentionDays"),
            "{name}"
        );
    }
    let alarm = &template["Resources"]["ErrorsAlarm"]["Properties"];
    let errors = &alarm["Metrics"][0]["MetricStat"]["Metric"];
    assert_eq!(errors["MetricName"], "Errors");
    for name in function_names() {
        let logs = format!("{name}Logs");
        assert_eq!(
            function_property(&template, &name, "LoggingConfig")["LogGroup"],
            reference(&logs),
            "{name}"
        );
        let group = json!({ "Fn::Sub": format!("/aws/lambda/${{AWS::StackName}}-{}", words(&name, '-')) });
        assert_eq!(
            template["Resources"][&logs]["Properties"]["LogGroupName"], group,
            "{name}"
        );

        let filter = &template["Resources"][format!("{name}Errors")]["Properties"];
        assert_eq!(filter["LogGroupName"], reference(&logs), "{name}");
        let metric = &filter["MetricTransformations"][0];
        assert_eq!(metric["MetricNamespace"], errors["Namespace"], "{name}");
        assert_eq!(metric["MetricName"], errors["MetricName"], "{name}");
        let first = &template["Resources"]["SendMessageErrors"]["Properties"]["FilterPattern"];
        assert_eq!(&filter["FilterPattern"], first, "{name}: all count the same lines");
    }
}

#[test]
fn alarms_compare_shares_of_both_apis_and_are_silent_for_an_idle_service() {
    let (template, _) = template();
    let alarms = resources_of_type(&template, "AWS::CloudWatch::Alarm");
    let mut watched = BTreeSet::new();
    for (name, alarm) in &alarms {
        let alarm = &alarm["Properties"];
        let mut ids = Vec::new();
        let mut share = &Value::Null;
        for metric in alarm["Metrics"].as_array().unwrap() {
            if metric["Expression"].is_null() {
                assert_eq!(metric["ReturnData"], false, "{name}");
                assert_eq!(metric["MetricStat"]["Stat"], "Sum", "{name}");
                assert_eq!(metric["MetricStat"]["Period"], 300, "{name}: all of one length");
                let what = &metric["MetricStat"]["Metric"];
                let api = &what["Dimensions"][0]["Value"]["Ref"];
                watched.insert((
                    api.as_str().unwrap_or("-").to_owned(),
                    what["MetricName"].as_str().unwrap().to_owned(),
                ));
                ids.push(metric["Id"].as_str().unwrap().to_owned());
            } else {
                assert!(share.is_null(), "{name} compares one thing");
                share = &metric["Expression"];
            }
        }
        let share = share.as_str().unwrap();
        for id in ids {
            assert!(share.contains(&id), "{name} has no use for {id}");
        }
        assert!(
            share.contains("100 *") && share.contains('/'),
            "{name} compares a share: {share}"
        );
        // Nothing is divided by nothing.
        assert!(share.starts_with("IF("), "{name}: {share}");
        assert!(alarm["Threshold"].as_u64().unwrap() < 100, "{name}");
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold", "{name}");
        // One failure of a quiet hour is not twice.
        assert_eq!(alarm["DatapointsToAlarm"], 2, "{name}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{name}");
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm[actions]["Fn::If"][0], "HasAlarmTopic", "{name}");
        }
    }
    let expected = [
        ("-", "Errors"),
        ("Api", "5xx"),
        ("Api", "Count"),
        ("LiveApi", "ClientError"),
        ("LiveApi", "ConnectCount"),
        ("LiveApi", "ExecutionError"),
        ("LiveApi", "IntegrationError"),
        ("LiveApi", "MessageCount"),
    ];
    let expected = expected.map(|(api, metric)| (api.to_owned(), metric.to_owned()));
    assert_eq!(watched, BTreeSet::from(expected));
}

#[test]
fn api_functions_answer_before_the_gateway_gives_up() {
    let (template, _) = template();
    for rpc in rpcs() {
        let seconds = function_property(&template, &rpc.name, "Timeout").as_u64().unwrap();
        assert!(seconds <= API_TIMEOUT_SECONDS_MAX, "{}: {seconds} s", rpc.name);
    }
}

#[test]
fn the_table_of_connected_users_has_the_keys_that_the_code_uses() {
    let (template, _) = template();
    let table = &template["Resources"]["LiveTable"]["Properties"];
    assert_eq!(
        table["KeySchema"],
        json!([{ "AttributeName": "user_id", "KeyType": "HASH" }])
    );
    assert_eq!(
        table["AttributeDefinitions"],
        json!([{ "AttributeName": "user_id", "AttributeType": "S" }])
    );
    assert_eq!(
        table["TimeToLiveSpecification"],
        json!({ "AttributeName": "ttl", "Enabled": true })
    );
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(
        table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
        true
    );
    assert_eq!(table["SSESpecification"]["SSEEnabled"], true);
}

#[test]
fn the_template_is_well_below_cloudformations_limits() {
    let (template, bytes) = template();
    let resources = template["Resources"].as_object().unwrap().len();
    assert!(
        resources <= RESOURCES_MAX,
        "{resources} resources: split the stack by service"
    );
    assert!(bytes <= TEMPLATE_BYTES_MAX, "{bytes} bytes: split the stack by service");
}

#[test]
fn every_environment_of_samconfig_gives_the_parameters_that_have_no_default() {
    let (template, _) = template();
    let parameters = template["Parameters"].as_object().unwrap();
    let required: BTreeSet<&str> = parameters
        .iter()
        .filter(|(_, parameter)| parameter["Default"].is_null())
        .map(|(name, _)| name.as_str())
        .collect();

    let text = std::fs::read_to_string(root().join("samconfig.toml")).unwrap();
    let mut environments: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut environment = "";
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[') {
            environment = section.split('.').next().unwrap();
        } else if let Some((name, _)) = line.strip_prefix("  \"").and_then(|entry| entry.split_once('=')) {
            environments.entry(environment).or_default().insert(name);
        }
    }
    assert_eq!(
        environments.keys().copied().collect::<Vec<_>>(),
        ["default", "prod", "staging"]
    );
    for (environment, given) in environments {
        let missing: Vec<_> = required.difference(&given).collect();
        assert!(missing.is_empty(), "{environment} lacks {missing:?}");
        let unknown: Vec<_> = given.iter().filter(|name| !parameters.contains_key(**name)).collect();
        assert!(
            unknown.is_empty(),
            "{environment} gives {unknown:?}, which the template does not take"
        );
    }
}
