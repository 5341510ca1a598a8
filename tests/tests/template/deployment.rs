//! The contract, the code and the template name the same operations, and functions get what they need, no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chat_local::SERVICES;
use chat_local::names::{pascal_case, words};
use chat_local::template::{File, HEAD, Target, render};
use chat_runtime::Trigger;
use serde_json::{Value, json};

use crate::document::{head, resources_of_type, stacks};
use crate::{root, rpcs, workspace_packages};

/// The HTTP API gives up after 30 s.
const API_TIMEOUT_SECONDS_MAX: u64 = 29;

/// The RPC that anybody may call.
pub(crate) const OPEN_RPC: &str = "/grpc.health.v1.Health/Check";

/// The template's files as they would be written.
fn written(target: Target) -> Vec<File> {
    let head = std::fs::read_to_string(root().join(HEAD)).unwrap();
    render(&head, SERVICES, target).unwrap()
}

fn reference(name: &str) -> Value {
    json!({ "Ref": name })
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

/// What a function's role allows besides its log, as `action on resource`.
fn allowed(role: &Value) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    let mut statements = statements(role).into_iter();
    let log = statements.next().unwrap();
    assert_eq!(log["Action"], json!(["logs:CreateLogStream", "logs:PutLogEvents"]));
    assert_eq!(log["Resource"], json!({ "Fn::GetAtt": "Logs.Arn" }));
    for statement in statements {
        let (mut actions, mut resources) = (Vec::new(), Vec::new());
        texts(&statement["Action"], &mut actions);
        texts(&statement["Resource"], &mut resources);
        for action in actions {
            allowed.extend(resources.iter().map(|resource| {
                let named = resource.split_once("${AWS::AccountId}:");
                let resource = named.map_or(resource.as_str(), |(_, resource)| resource);
                format!("{action} on {resource}")
            }));
        }
    }
    allowed
}

#[test]
fn the_template_is_what_the_functions_say() {
    for File { path, text } in written(Target::Aws) {
        let present = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        assert!(
            present == text,
            "{path} is stale: run `cargo chat template`, which writes it"
        );
    }
    let expected: BTreeSet<String> = SERVICES
        .iter()
        .map(|service| format!("{}.yaml", service.name))
        .collect();
    let present = std::fs::read_dir(root().join("stacks")).unwrap();
    let present: BTreeSet<String> = present
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(present, expected, "stacks/ holds the stack of a service that is gone");
}

#[test]
fn ministack_gets_all_but_two_kinds_of_resources() {
    let left_out = ["AWS::ApiGatewayV2::RouteResponse", "AWS::CloudWatch::Alarm"];
    let mut seen = BTreeSet::new();
    for (all, fewer) in written(Target::Aws).iter().zip(written(Target::Ministack)) {
        assert_eq!(all.path, fewer.path);
        let mut expected = crate::document::parse(&all.text);
        expected["Resources"].as_object_mut().unwrap().retain(|_, resource| {
            let kind = resource["Type"].as_str().unwrap();
            let is_kept = !left_out.contains(&kind);
            if !is_kept {
                seen.insert(kind.to_owned());
            }
            is_kept
        });
        assert_eq!(crate::document::parse(&fewer.text), expected, "{}", all.path);
    }
    assert_eq!(seen.len(), left_out.len(), "one is in no template any more");
}

#[test]
fn every_rpc_has_an_operation_file_a_binary_and_a_function() {
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

    let offered: BTreeSet<&str> = chat_local::functions()
        .iter()
        .filter_map(|function| match function.trigger() {
            Trigger::Rpc { path, .. } => Some(path),
            _ => None,
        })
        .collect();
    let rpcs = rpcs();
    let expected: BTreeSet<&str> = rpcs.iter().map(|rpc| rpc.path.as_str()).collect();
    assert_eq!(offered, expected, "FUNCTIONS of each crate name its operations");
}

#[test]
fn every_binary_of_the_functions_is_deployed() {
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
    let deployed: BTreeSet<String> = chat_local::functions()
        .iter()
        .map(|function| function.name().to_owned())
        .collect();
    assert_eq!(binaries, deployed);
}

#[test]
fn every_route_but_the_health_check_requires_a_token() {
    let mut open = Vec::new();
    for stack in stacks().values() {
        for (name, route) in resources_of_type(stack, "AWS::ApiGatewayV2::Route") {
            let route = &route["Properties"];
            if route["ApiId"] != reference("Api") {
                continue;
            }
            if route["AuthorizationType"] == "NONE" {
                open.push(route["RouteKey"].as_str().unwrap().to_owned());
            } else {
                assert_eq!(route["AuthorizationType"], "JWT", "{name}");
                assert_eq!(route["AuthorizerId"], reference("JwtAuthorizer"), "{name}");
            }
        }
    }
    let open_route = format!("POST {OPEN_RPC}");
    assert_eq!(open, [open_route.as_str()]);

    let head = head();
    let throttling = &head["Resources"]["ApiStage"]["Properties"]["RouteSettings"][open_route];
    assert!(
        throttling["ThrottlingRateLimit"].is_u64(),
        "what anybody may call is throttled by itself"
    );
    let authorizer = &head["Resources"]["JwtAuthorizer"]["Properties"];
    assert_eq!(authorizer["AuthorizerType"], "JWT");
    assert_eq!(authorizer["IdentitySource"], json!(["$request.header.Authorization"]));
    assert_eq!(authorizer["JwtConfiguration"]["Issuer"], reference("JwtIssuer"));
    assert_eq!(authorizer["JwtConfiguration"]["Audience"], reference("JwtAudience"));
}

#[test]
fn an_api_serves_when_all_of_its_routes_are_there() {
    let head = head();
    for (stage, api) in [("ApiStage", "Api"), ("LiveStage", "LiveApi")] {
        let waits = &head["Resources"][stage]["DependsOn"];
        let waits: BTreeSet<String> = waits.as_array().map_or_else(
            || BTreeSet::from([waits.as_str().unwrap().to_owned()]),
            |stacks| stacks.iter().map(|stack| stack.as_str().unwrap().to_owned()).collect(),
        );
        let routes = |stack: &Value| {
            let mut routes = resources_of_type(stack, "AWS::ApiGatewayV2::Route");
            routes.any(|(_, route)| route["Properties"]["ApiId"] == reference(api))
        };
        let expected: BTreeSet<String> = stacks()
            .iter()
            .filter(|(_, stack)| routes(stack))
            .map(|(service, _)| format!("{}Stack", pascal_case(service)))
            .collect();
        assert_eq!(waits, expected, "{stage}");
    }
}

#[test]
fn a_socket_opens_with_a_ticket_and_its_frames_are_answered() {
    let stack = &stacks()["live"]["Resources"];
    let connect = &stack["ConnectRoute"]["Properties"];
    assert_eq!(connect["AuthorizationType"], "CUSTOM");
    assert_eq!(connect["AuthorizerId"], reference("AuthorizeSocketAuthorizer"));
    let authorizer = &stack["AuthorizeSocketAuthorizer"]["Properties"];
    assert_eq!(authorizer["AuthorizerType"], "REQUEST");
    assert_eq!(
        authorizer["IdentitySource"],
        json!(["route.request.header.Sec-WebSocket-Protocol"])
    );
    // A reply needs both: the route selects its response, and the response exists.
    let default = &stack["DefaultRoute"]["Properties"];
    assert_eq!(default["RouteResponseSelectionExpression"], "$default");
    let response = &stack["DefaultRouteResponse"]["Properties"];
    assert_eq!(response["RouteId"], reference("DefaultRoute"));
    assert_eq!(response["RouteResponseKey"], "$default");

    let stage = &head()["Resources"]["LiveStage"];
    let name = stage["Properties"]["StageName"].as_str().unwrap();
    let environment = &stack["ConnectFunction"]["Properties"]["Environment"]["Variables"];
    let endpoint = environment["LIVE_ENDPOINT"]["Fn::Sub"].as_str().unwrap();
    assert!(endpoint.ends_with(&format!("/{name}")), "{endpoint}");
}

#[test]
fn pages_may_send_what_every_protocol_of_the_endpoint_reads() {
    let cors = head()["Resources"]["Api"]["Properties"]["CorsConfiguration"].clone();
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
fn the_gateway_calls_every_function_by_a_role_without_a_condition() {
    let trust = json!([{
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }]);
    for service in SERVICES {
        let stack = &stacks()[service.name];
        let called: BTreeSet<String> = service
            .functions
            .iter()
            .filter(|function| !matches!(function.trigger(), Trigger::Deployment | Trigger::DeliveryQueue))
            .map(|function| pascal_case(function.name()))
            .collect();
        if called.is_empty() {
            continue;
        }
        let role = &stack["Resources"]["GatewayRole"];
        // With aws:SourceAccount, which the gateway does not send, every call would be answered 500.
        let statement = &role["Properties"]["AssumeRolePolicyDocument"]["Statement"];
        assert_eq!(statement, &trust, "{}", service.name);
        let mut allowed = Vec::new();
        for statement in statements(role) {
            assert_eq!(statement["Action"], json!(["lambda:InvokeFunction"]));
            texts(&statement["Resource"], &mut allowed);
        }
        let allowed: BTreeSet<String> = allowed
            .iter()
            .map(|arn| arn.strip_suffix("Function.Arn").unwrap().to_owned())
            .collect();
        assert_eq!(allowed, called, "{}", service.name);
        for kind in ["AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Authorizer"] {
            for (name, resource) in resources_of_type(stack, kind) {
                let properties = &resource["Properties"];
                let mut credentials = Vec::new();
                texts(&properties["CredentialsArn"], &mut credentials);
                texts(&properties["AuthorizerCredentialsArn"], &mut credentials);
                assert_eq!(credentials, ["GatewayRole.Arn"], "{name}");
            }
        }
    }
}

#[test]
fn functions_may_do_what_their_clients_call_and_nothing_else() {
    let writes = "dynamodb:UpdateItem on table/${LiveTable}";
    let reads = "dynamodb:BatchGetItem on table/${LiveTable}";
    let posts = "execute-api:ManageConnections on ${LiveApi}/live/POST/@connections/*";
    let closes = "execute-api:ManageConnections on ${LiveApi}/live/DELETE/@connections/*";
    let sends = "sqs:SendMessage on ${DeliveryQueueArn}";
    let [receives, removes, looks] = [
        "sqs:ReceiveMessage on ${DeliveryQueueArn}",
        "sqs:DeleteMessage on ${DeliveryQueueArn}",
        "sqs:GetQueueAttributes on ${DeliveryQueueArn}",
    ];
    let expected = |function: &str| -> Vec<&str> {
        match function {
            "CreateLiveTicket" | "Disconnect" => vec![writes],
            "Connect" | "Default" => vec![writes, closes],
            "RequestFriend"
            | "RespondToFriendRequest"
            | "RemoveFriend"
            | "OpenDirectConversation"
            | "MarkConversationRead"
            | "MarkConversationDelivered"
            | "MarkConversationUnread"
            | "UpdateConversationSettings"
            | "ClearConversationHistory"
            | "HideConversation"
            | "SendMessage"
            | "CreateGroup"
            | "UpdateGroup"
            | "DeleteGroup"
            | "AddGroupMembers"
            | "RemoveGroupMember"
            | "SetGroupMemberRole"
            | "TransferGroupOwnership"
            | "LeaveGroup"
            | "JoinGroup"
            | "AnswerJoinRequest" => vec![writes, reads, posts, sends],
            "Deliver" => vec![writes, reads, posts, sends, receives, removes, looks],
            _ => vec![],
        }
    };
    let mut seen = 0;
    for stack in stacks().values() {
        for (name, _) in resources_of_type(stack, "AWS::Lambda::Function") {
            let function = name.strip_suffix("Function").unwrap();
            let expected: BTreeSet<String> = expected(function).into_iter().map(str::to_owned).collect();
            let role = &stack["Resources"][format!("{function}Role")];
            assert_eq!(allowed(role), expected, "{function}");
            seen += 1;
        }
    }
    assert_eq!(seen, chat_local::functions().len());
}

#[test]
fn a_star_stands_only_where_a_service_knows_no_resources() {
    // X-Ray's writes and EC2's describe actions take no resource.
    let starred_actions = [
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
    ];
    for (name, policy) in resources_of_type(&head(), "AWS::IAM::ManagedPolicy") {
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
    assert_eq!(
        resources_of_type(&head(), "AWS::IAM::Role").count(),
        0,
        "roles stand in stacks"
    );
    for stack in stacks().values() {
        for (name, role) in resources_of_type(stack, "AWS::IAM::Role") {
            for statement in statements(role) {
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
}

/// The text of a secret, which CloudFormation puts in when it deploys.
fn secret(name: &str) -> Value {
    json!({ "Fn::Sub": format!("{{{{resolve:secretsmanager:${{{name}}}:SecretString}}}}") })
}

#[test]
fn stacks_are_handed_what_they_ask_for_under_its_own_name() {
    let head = head();
    for (service, stack) in stacks() {
        let embedded = &head["Resources"][format!("{}Stack", pascal_case(service))]["Properties"];
        assert_eq!(embedded["TemplateURL"], format!("stacks/{service}.yaml"));
        let given = embedded["Parameters"].as_object().unwrap();
        let asked: BTreeSet<&String> = stack["Parameters"].as_object().unwrap().keys().collect();
        assert_eq!(given.keys().collect::<BTreeSet<_>>(), asked, "{service}");
        for (name, value) in given {
            let expected = match name.as_str() {
                "StackName" => reference("AWS::StackName"),
                "NetworkPolicy" => json!({ "Fn::If": ["InVpc", reference("NetworkPolicy"), ""] }),
                "DeliveryQueueArn" => json!({ "Fn::GetAtt": "DeliveryQueue.Arn" }),
                "SubnetIds" | "SecurityGroupIds" => json!({ "Fn::Join": [",", reference(name)] }),
                _ => reference(name),
            };
            assert_eq!(*value, expected, "{service}: {name}");
        }
    }
}

#[test]
fn each_route_leads_to_its_own_function_which_runs_with_its_own_role() {
    let attribute = |name: String| json!({ "Fn::GetAtt": name });
    for (service, stack) in stacks() {
        for (name, function) in resources_of_type(&stack, "AWS::Lambda::Function") {
            let id = name.strip_suffix("Function").unwrap();
            assert_eq!(
                function["Properties"]["Role"],
                attribute(format!("{id}Role.Arn")),
                "{service}"
            );
            let program = format!("../target/lambda/{}/", words(id, '-'));
            assert_eq!(function["Properties"]["Code"], program, "{service}");
        }
        for (name, route) in resources_of_type(&stack, "AWS::ApiGatewayV2::Route") {
            let id = name.strip_suffix("Route").unwrap();
            let target = json!({ "Fn::Sub": format!("integrations/${{{id}Integration}}") });
            assert_eq!(route["Properties"]["Target"], target, "{name}");
            let integration = &stack["Resources"][format!("{id}Integration")]["Properties"];
            assert_eq!(integration["ApiId"], route["Properties"]["ApiId"], "{name}");
            let uri = integration["IntegrationUri"].to_string();
            assert!(
                uri.contains(&format!("/${{{id}Function.Arn}}/")) || uri.contains(&format!("\"{id}Function.Arn\"")),
                "{name}: {uri}"
            );
        }
    }
    let live = &stacks()["live"]["Resources"];
    let uri = live["AuthorizeSocketAuthorizer"]["Properties"]["AuthorizerUri"].to_string();
    assert!(uri.contains("/${AuthorizeSocketFunction.Arn}/invocations"), "{uri}");
}

#[test]
fn deliveries_come_again_and_what_fails_for_good_is_kept_apart() {
    let head = head();
    let queues: BTreeMap<_, _> = resources_of_type(&head, "AWS::SQS::Queue")
        .map(|(name, queue)| (name.clone(), queue["Properties"].clone()))
        .collect();
    assert_eq!(
        queues.keys().collect::<Vec<_>>(),
        ["DeliveryDeadLetters", "DeliveryQueue"]
    );
    for (name, queue) in &queues {
        assert_eq!(queue["SqsManagedSseEnabled"], true, "{name} may hold what was said");
    }
    let (queue, dead) = (&queues["DeliveryQueue"], &queues["DeliveryDeadLetters"]);
    let redrive = &queue["RedrivePolicy"];
    assert_eq!(
        redrive["deadLetterTargetArn"],
        json!({ "Fn::GetAtt": "DeliveryDeadLetters.Arn" })
    );
    let seconds = |of: &Value, what: &str| of[what].as_u64().unwrap();
    let hidden = seconds(queue, "VisibilityTimeout");
    let tries = redrive["maxReceiveCount"].as_u64().unwrap();
    assert!(tries * hidden < seconds(queue, "MessageRetentionPeriod"));
    assert!(seconds(dead, "MessageRetentionPeriod") > seconds(queue, "MessageRetentionPeriod"));

    let stack = &stacks()["live"];
    let sources: Vec<_> = resources_of_type(stack, "AWS::Lambda::EventSourceMapping").collect();
    let [(_, source)] = sources.as_slice() else {
        panic!("one function is called by a queue: {sources:?}")
    };
    let source = &source["Properties"];
    assert_eq!(source["FunctionName"], reference("DeliverFunction"));
    assert_eq!(source["EventSourceArn"], reference("DeliveryQueueArn"));
    assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    let function = &stack["Resources"]["DeliverFunction"]["Properties"];
    assert_eq!(hidden, 6 * seconds(function, "Timeout"));
    // Lambda would end the chain of a long deletion after 16 messages.
    assert_eq!(function["RecursiveLoop"], "Allow");
}

#[test]
fn secrets_are_named_and_read_anew_with_their_revision() {
    for stack in stacks().values() {
        for (name, function) in resources_of_type(stack, "AWS::Lambda::Function") {
            let environment = &function["Properties"]["Environment"]["Variables"];
            assert!(!environment["RUST_LOG"].is_null(), "{name}");
            let mut reads = false;
            for (variable, value) in environment.as_object().into_iter().flatten() {
                let host = "${LiveApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/live";
                let expected = match variable.as_str() {
                    "DATABASE_URL" => secret("DatabaseUrlSecret"),
                    "FUNCTIONS_DATABASE_URL" => secret("FunctionsDatabaseUrlSecret"),
                    "HEALTH_DATABASE_URL" => secret("HealthDatabaseUrlSecret"),
                    "MONGODB_URI" => secret("MongodbUriSecret"),
                    "TICKET_KEY" => secret("TicketKey"),
                    "CONTENT_KEY" => secret("ContentKey"),
                    "USER_BUDGET_FACTOR" => reference("UserBudgetFactor"),
                    "MONGODB_DATABASE" => reference("MongodbDatabase"),
                    "LIVE_TABLE" => reference("LiveTable"),
                    "DELIVERY_QUEUE_URL" => reference("DeliveryQueue"),
                    "LIVE_ENDPOINT" => json!({ "Fn::Sub": format!("https://{host}") }),
                    "LIVE_URL" => json!({ "Fn::Sub": format!("wss://{host}") }),
                    "RUST_LOG" => reference("LogLevel"),
                    other => panic!("{name}: nothing is known about {other}"),
                };
                assert_eq!(*value, expected, "{name}: {variable}");
                reads |= value.to_string().contains("{{resolve:");
            }
            let description = function["Properties"]["Description"].to_string();
            assert_eq!(
                description.contains("${SecretsRevision}"),
                reads,
                "{name}: {description}"
            );
        }
    }
    for key in ["TicketKey", "ContentKey"] {
        let key = &head()["Resources"][key]["Properties"]["GenerateSecretString"];
        assert_eq!(key["ExcludePunctuation"], true, "letters and digits are also base64");
        let letters = key["PasswordLength"].as_u64().unwrap();
        assert!(
            letters.is_multiple_of(4) && letters / 4 * 3 >= 32,
            "{letters} letters are no base64 of 32 bytes or more"
        );
    }
}

#[test]
fn each_function_logs_in_to_postgres_as_the_least_user_that_can_do_its_work() {
    for stack in stacks().values() {
        for (name, function) in resources_of_type(stack, "AWS::Lambda::Function") {
            let environment = function["Properties"]["Environment"]["Variables"].clone();
            let told = |variable: &str| !environment[variable].is_null();
            let (owner, functions, health) = (
                told("DATABASE_URL"),
                told("FUNCTIONS_DATABASE_URL"),
                told("HEALTH_DATABASE_URL"),
            );
            match name.as_str() {
                // Who owns the database can do anything with it, and makes the other users.
                "MigrateFunction" => assert!(owner && functions && health),
                // What anybody may call sees nothing.
                "CheckFunction" => assert!(health && !owner && !functions),
                _ => assert!(!owner && !health, "{name}"),
            }
        }
    }
}

#[test]
fn only_functions_that_use_a_database_are_in_the_vpc() {
    for stack in stacks().values() {
        for (name, function) in resources_of_type(stack, "AWS::Lambda::Function") {
            let function = &function["Properties"];
            let environment = function["Environment"]["Variables"].to_string();
            let uses_database = environment.contains("DATABASE_URL") || environment.contains("MONGODB_URI");
            assert_eq!(!function["VpcConfig"].is_null(), uses_database, "{name}");
            let role = name.replace("Function", "Role");
            let policies = &stack["Resources"][role]["Properties"]["ManagedPolicyArns"];
            assert_eq!(policies.to_string().contains("NetworkPolicy"), uses_database, "{name}");
        }
    }
}

#[test]
fn functions_cannot_be_told_to_log_what_was_said() {
    let levels = &head()["Parameters"]["LogLevel"]["AllowedValues"];
    assert_eq!(*levels, json!(["DEBUG", "INFO", "WARN", "ERROR"]));
}

#[test]
fn every_log_group_expires_and_all_functions_errors_are_counted() {
    let head = head();
    let errors = &head["Resources"]["ErrorsAlarm"]["Properties"]["Metrics"][0]["MetricStat"]["Metric"];
    assert_eq!(errors["MetricName"], "Errors");
    let namespace = errors["Namespace"].to_string().replace("AWS::StackName", "StackName");
    let stacks = stacks();
    for template in stacks.values().chain([&head]) {
        for (name, group) in resources_of_type(template, "AWS::Logs::LogGroup") {
            let retention = &group["Properties"]["RetentionInDays"];
            assert_eq!(*retention, reference("LogRetentionDays"), "{name}");
        }
    }
    for (service, stack) in &stacks {
        for (name, function) in resources_of_type(stack, "AWS::Lambda::Function") {
            let logging = &function["Properties"]["LoggingConfig"];
            assert_eq!(logging["LogGroup"], reference("Logs"), "{name}");
        }
        let filter = &stack["Resources"]["Errors"]["Properties"];
        assert_eq!(filter["LogGroupName"], reference("Logs"), "{service}");
        let metric = &filter["MetricTransformations"][0];
        assert_eq!(metric["MetricNamespace"].to_string(), namespace, "{service}");
        assert_eq!(metric["MetricName"], errors["MetricName"], "{service}");
    }
}

#[test]
fn alarms_compare_shares_of_both_apis_and_are_silent_for_an_idle_service() {
    let head = head();
    let mut watched = BTreeSet::new();
    for (name, alarm) in resources_of_type(&head, "AWS::CloudWatch::Alarm") {
        let alarm = &alarm["Properties"];
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm[actions]["Fn::If"][0], "HasAlarmTopic", "{name}");
        }
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{name}");
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold", "{name}");
        // Any dead letter is one too many, and so is a minute of waiting.
        if name == "LateDeliveriesAlarm" {
            let queue = json!([{ "Name": "QueueName", "Value": { "Fn::GetAtt": "DeliveryQueue.QueueName" } }]);
            assert_eq!(alarm["Dimensions"], queue);
            assert_eq!(alarm["MetricName"], "ApproximateAgeOfOldestMessage");
            continue;
        }
        if name == "DeadLettersAlarm" {
            let queue = json!([{ "Name": "QueueName", "Value": { "Fn::GetAtt": "DeliveryDeadLetters.QueueName" } }]);
            assert_eq!(alarm["Dimensions"], queue);
            assert_eq!(
                (&alarm["MetricName"], &alarm["Threshold"]),
                (&json!("ApproximateNumberOfMessagesVisible"), &json!(0))
            );
            continue;
        }
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
        // One failure of a quiet hour is not twice.
        assert_eq!(alarm["DatapointsToAlarm"], 2, "{name}");
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
    for stack in stacks().values() {
        for (name, integration) in resources_of_type(stack, "AWS::ApiGatewayV2::Integration") {
            if integration["Properties"]["ApiId"] != reference("Api") {
                continue;
            }
            let function = name.replace("Integration", "Function");
            let timeout = &stack["Resources"][&function]["Properties"]["Timeout"];
            let seconds = timeout.as_u64().unwrap();
            assert!(seconds <= API_TIMEOUT_SECONDS_MAX, "{function}: {seconds} s");
        }
    }
}

#[test]
fn the_table_of_connected_users_has_the_keys_that_the_code_uses() {
    let table = &head()["Resources"]["LiveTable"]["Properties"];
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
fn every_environment_of_samconfig_gives_the_parameters_that_have_no_default() {
    let head = head();
    let parameters = head["Parameters"].as_object().unwrap();
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
