//! One service's stack: its functions, with a role, an integration and a route each, and what they share.

use std::collections::{BTreeMap, BTreeSet};

use chat_operation::{Grant, Settings, SettingsError};
use chat_runtime::{Function, Trigger};

use super::TemplateError;
use super::settings::{SETTINGS, Setting, Source, lookup};
use crate::Service;
use crate::names::pascal_case;

/// Bytes of a role's inline policies: IAM takes 10,240, without white space.
const POLICY_BYTES_MAX: usize = 9_000;
/// Bytes of an ARN in a policy, at most.
const ARN_BYTES: usize = 200;

/// What a service's stack takes from the head: (parameter, its type, its value there).
const PARAMETERS: &[(&str, &str, &str)] = &[
    ("StackName", "String", "!Ref AWS::StackName"),
    ("Api", "String", "!Ref Api"),
    ("JwtAuthorizer", "String", "!Ref JwtAuthorizer"),
    ("LiveApi", "String", "!Ref LiveApi"),
    ("LiveTable", "String", "!Ref LiveTable"),
    ("DeliveryQueue", "String", "!Ref DeliveryQueue"),
    ("DeliveryQueueArn", "String", "!GetAtt DeliveryQueue.Arn"),
    ("TicketKey", "String", "!Ref TicketKey"),
    ("ContentKey", "String", "!Ref ContentKey"),
    ("DatabaseUrlSecret", "String", "!Ref DatabaseUrlSecret"),
    (
        "FunctionsDatabaseUrlSecret",
        "String",
        "!Ref FunctionsDatabaseUrlSecret",
    ),
    ("HealthDatabaseUrlSecret", "String", "!Ref HealthDatabaseUrlSecret"),
    ("MongodbUriSecret", "String", "!Ref MongodbUriSecret"),
    ("MongodbDatabase", "String", "!Ref MongodbDatabase"),
    ("UserBudgetFactor", "Number", "!Ref UserBudgetFactor"),
    ("SecretsRevision", "String", "!Ref SecretsRevision"),
    ("TracingPolicy", "String", "!Ref TracingPolicy"),
    ("NetworkPolicy", "String", "!If [InVpc, !Ref NetworkPolicy, '']"),
    ("SubnetIds", "CommaDelimitedList", "!Join [',', !Ref SubnetIds]"),
    (
        "SecurityGroupIds",
        "CommaDelimitedList",
        "!Join [',', !Ref SecurityGroupIds]",
    ),
    ("Ipv6", "String", "!Ref Ipv6"),
    ("FunctionMemory", "Number", "!Ref FunctionMemory"),
    ("SocketMemory", "Number", "!Ref SocketMemory"),
    ("LogRetentionDays", "Number", "!Ref LogRetentionDays"),
    ("LogLevel", "String", "!Ref LogLevel"),
];

/// A function as the stack has it.
struct Deployed {
    function: Function,
    /// Such as `SendMessage`.
    id: String,
    settings: Vec<&'static Setting>,
    grants: BTreeMap<&'static str, BTreeSet<Grant>>,
}

/// The text of a service's stack.
pub(super) fn stack(service: &Service) -> Result<String, TemplateError> {
    let functions = service
        .functions
        .iter()
        .map(Deployed::new)
        .collect::<Result<Vec<_>, _>>()?;
    let mut resources = shared(service.name);
    if let Some(role) = gateway_role(&functions)? {
        resources.push_str(&role);
    }
    for function in &functions {
        resources.push_str(&function.resources()?);
    }
    let conditions = if functions.iter().any(Deployed::in_vpc) {
        "Conditions:\n  InVpc: !Not [!Equals [!Ref NetworkPolicy, '']]\n\n"
    } else {
        ""
    };
    let body = format!("{conditions}Resources:\n{}", resources.trim_start_matches('\n'));
    let parameters: Vec<_> = parameters(&body)
        .map(|(name, kind, _)| format!("  {name}:\n    Type: {kind}\n"))
        .collect();
    let parameters = parameters.concat();
    let name = service.name;
    Ok(format!(
        "# Written by `cargo chat template` from functions/{name} and what its functions ask for. Do not edit.
AWSTemplateFormatVersion: '2010-09-09'
Description: Chat service - the functions of functions/{name}, a part of template.yaml.
Metadata:
  # That code is a folder, which `sam deploy` packages.
  cfn-lint: {{config: {{ignore_checks: [W3002]}}}}

Parameters:
{parameters}
{body}"
    ))
}

/// What a stack with this text takes from the head.
pub(super) fn parameters(text: &str) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    PARAMETERS.iter().filter(move |(name, ..)| {
        text.contains(&format!("${{{name}}}")) || text.lines().any(|line| refers_to(line, name))
    })
}

fn refers_to(line: &str, name: &str) -> bool {
    line.split("!Ref ")
        .skip(1)
        .any(|rest| rest.split([',', ']', '}', ' ']).next() == Some(name))
}

/// The log of all functions, and the filter that counts their errors.
fn shared(service: &str) -> String {
    format!(
        "
  Logs:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !Sub /aws/lambda/${{StackName}}-{service}
      RetentionInDays: !Ref LogRetentionDays

  Errors:
    Type: AWS::Logs::MetricFilter
    Properties:
      LogGroupName: !Ref Logs
      FilterPattern: '{{ ($.level = \"ERROR\") || (($.type = \"platform.report\") && ($.record.status != \"success\")) }}'
      MetricTransformations:
        - MetricNamespace: !Sub Chat/${{StackName}}
          MetricName: Errors
          MetricValue: '1'
"
    )
}

/// The role with which the gateway calls the functions that it calls: one instead of a permission for each.
fn gateway_role(functions: &[Deployed]) -> Result<Option<String>, TemplateError> {
    let called: Vec<String> = functions
        .iter()
        .filter(|function| {
            let trigger = function.function.trigger();
            !matches!(trigger, Trigger::Deployment | Trigger::DeliveryQueue)
        })
        .map(|function| format!("                  - !GetAtt {}Function.Arn\n", function.id))
        .collect();
    if called.is_empty() {
        return Ok(None);
    }
    let bytes = called.len() * ARN_BYTES;
    if bytes > POLICY_BYTES_MAX {
        return Err(TemplateError::Policy {
            role: "GatewayRole".to_owned(),
            bytes,
            max: POLICY_BYTES_MAX,
        });
    }
    Ok(Some(format!(
        "
  # Lets the gateway call the functions: one role instead of a permission for each.
  GatewayRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal: {{Service: apigateway.amazonaws.com}}
            # No condition on aws:SourceAccount: API Gateway is reported not to send it when it assumes such a role.
            Action: sts:AssumeRole
      Policies:
        - PolicyName: functions
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
              - Effect: Allow
                Action: [lambda:InvokeFunction]
                Resource:
{}",
        called.concat()
    )))
}

impl Deployed {
    /// A function with what it asks for when it is made.
    fn new(function: &Function) -> Result<Self, TemplateError> {
        let function_name = function.name();
        let examples: Settings = SETTINGS
            .iter()
            .map(|setting| (setting.name.to_owned(), setting.example.to_owned()))
            .collect();
        let unknown = |name| TemplateError::UnknownSetting {
            function: function_name,
            name,
        };
        let needs = function.needs(&examples).map_err(|source| match source {
            SettingsError::Missing { name, .. } => unknown(name),
            source @ SettingsError::Invalid { .. } => TemplateError::Settings {
                function: function_name,
                source,
            },
        })?;
        let mut settings = Vec::new();
        for name in needs.settings {
            let setting = lookup(name).ok_or_else(|| unknown(name))?;
            if let Source::Secret(parameter) | Source::Parameter(parameter) = setting.source
                && !PARAMETERS.iter().any(|(known, ..)| *known == parameter)
            {
                return Err(TemplateError::UnknownParameter { name, parameter });
            }
            settings.push(setting);
        }
        let mut grants: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (name, grant) in needs.grants {
            if lookup(name).is_none_or(|setting| setting.arn.is_empty()) {
                return Err(TemplateError::NoArn {
                    function: function_name,
                    action: grant.action,
                    name,
                });
            }
            grants.entry(name).or_default().insert(grant);
        }
        Ok(Self {
            function: *function,
            id: pascal_case(function_name),
            settings,
            grants,
        })
    }

    fn in_vpc(&self) -> bool {
        self.settings.iter().any(|setting| setting.database)
    }

    fn resources(&self) -> Result<String, TemplateError> {
        let mut text = self.function_resource();
        text.push_str(&self.role()?);
        text.push_str(&self.trigger());
        Ok(text)
    }

    fn function_resource(&self) -> String {
        let (id, name) = (&self.id, self.function.name());
        let called_by = match self.function.trigger() {
            Trigger::Rpc { path, .. } => format!("POST {path}"),
            Trigger::SocketAuthorizer => "The live socket's authorizer".to_owned(),
            Trigger::SocketRoute(route) => format!("The live socket's {route}"),
            Trigger::DeliveryQueue => "The queue of deliveries".to_owned(),
            Trigger::Deployment => "Run by whoever deploys".to_owned(),
        };
        // The HTTP API gives up after 30 s; a function that ends before it can still say what went wrong.
        let (seconds, memory) = match self.function.trigger() {
            Trigger::Rpc { .. } => (29, "FunctionMemory"),
            Trigger::SocketAuthorizer => (5, "SocketMemory"),
            Trigger::SocketRoute(_) => (10, "SocketMemory"),
            // A sixth of the time for which the queue hides a message that was taken.
            Trigger::DeliveryQueue => (30, "FunctionMemory"),
            Trigger::Deployment => (900, "FunctionMemory"),
        };
        let network = if self.in_vpc() {
            "
      VpcConfig: !If
        - InVpc
        - SubnetIds: !Ref SubnetIds
          SecurityGroupIds: !Ref SecurityGroupIds
          Ipv6AllowedForDualStack: !Ref Ipv6
        - !Ref AWS::NoValue"
        } else {
            ""
        };
        // What it leaves to another message ends: it is less each time.
        let loops = if self.function.trigger() == Trigger::DeliveryQueue {
            "\n      RecursiveLoop: Allow"
        } else {
            ""
        };
        let variables: String = self.settings.iter().filter_map(|setting| variable(setting)).collect();
        let has_secret = self
            .settings
            .iter()
            .any(|setting| matches!(setting.source, Source::Secret(_)));
        // A new description makes Lambda read the secrets anew.
        let description = if has_secret {
            format!(
                "!Sub '{}. Secrets revision ${{SecretsRevision}}.'",
                called_by.replace('\'', "''")
            )
        } else {
            format!("{called_by}.")
        };
        format!(
            "
  {id}Function:
    Type: AWS::Lambda::Function
    Metadata:
      SkipBuild: true
    Properties:
      FunctionName: !Sub ${{StackName}}-{name}
      Description: {description}
      Code: ../target/lambda/{name}/
      Runtime: provided.al2023
      Architectures: [arm64]
      Handler: bootstrap
      Role: !GetAtt {id}Role.Arn
      Timeout: {seconds}
      MemorySize: !Ref {memory}
      TracingConfig: {{Mode: Active}}
      LoggingConfig: {{LogFormat: JSON, ApplicationLogLevel: !Ref LogLevel, LogGroup: !Ref Logs}}{network}{loops}
      Environment:
        Variables:
          RUST_LOG: !Ref LogLevel
{variables}"
        )
    }

    /// Its role: its log, its traces, and what its clients call.
    fn role(&self) -> Result<String, TemplateError> {
        let id = &self.id;
        let network = if self.in_vpc() {
            "\n        - !If [InVpc, !Ref NetworkPolicy, !Ref AWS::NoValue]"
        } else {
            ""
        };
        let mut statements = Vec::new();
        let mut bytes = ARN_BYTES;
        if self.function.trigger() == Trigger::DeliveryQueue {
            bytes += 2 * ARN_BYTES;
            statements.push(
                "
              - Effect: Allow
                Action: [sqs:ReceiveMessage, sqs:DeleteMessage, sqs:GetQueueAttributes]
                Resource: !Sub ${DeliveryQueueArn}"
                    .to_owned(),
            );
        }
        for (name, grants) in &self.grants {
            let arn = lookup(name).map_or("", |setting| setting.arn);
            let mut actions_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for grant in grants {
                actions_of.entry(grant.path).or_default().push(grant.action);
            }
            for (path, actions) in actions_of {
                let actions = actions.join(", ");
                let slash = if path.is_empty() { "" } else { "/" };
                bytes += actions.len() + ARN_BYTES;
                statements.push(format!(
                    "
              - Effect: Allow
                Action: [{actions}]
                Resource: !Sub {arn}{slash}{path}"
                ));
            }
        }
        if bytes > POLICY_BYTES_MAX {
            return Err(TemplateError::Policy {
                role: format!("{id}Role"),
                bytes,
                max: POLICY_BYTES_MAX,
            });
        }
        let statements = statements.concat();
        Ok(format!(
            "
  {id}Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: sts:AssumeRole}}]
      ManagedPolicyArns:
        - !Ref TracingPolicy{network}
      Policies:
        - PolicyName: function
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
              - Effect: Allow
                Action: [logs:CreateLogStream, logs:PutLogEvents]
                Resource: !GetAtt Logs.Arn{statements}
"
        ))
    }

    /// What leads to it from the gateway.
    fn trigger(&self) -> String {
        let id = &self.id;
        let invocation = format!(
            "!Sub arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{{id}Function.Arn}}/invocations"
        );
        match self.function.trigger() {
            Trigger::Rpc { path, public } => {
                let authorization = if public {
                    "AuthorizationType: NONE"
                } else {
                    "AuthorizationType: JWT\n      AuthorizerId: !Ref JwtAuthorizer"
                };
                format!(
                    "
  {id}Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: AWS_PROXY
      IntegrationMethod: POST
      IntegrationUri: !GetAtt {id}Function.Arn
      CredentialsArn: !GetAtt GatewayRole.Arn
      PayloadFormatVersion: '2.0'
      TimeoutInMillis: 30000

  {id}Route:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Api
      RouteKey: POST {path}
      Target: !Sub integrations/${{{id}Integration}}
      {authorization}
"
                )
            }
            Trigger::SocketAuthorizer => format!(
                "
  # A ticket is offered as a subprotocol, since browsers cannot set other headers; without one the answer is 401.
  {id}Authorizer:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      ApiId: !Ref LiveApi
      Name: ticket
      AuthorizerType: REQUEST
      IdentitySource: [route.request.header.Sec-WebSocket-Protocol]
      AuthorizerUri: {invocation}
      AuthorizerCredentialsArn: !GetAtt GatewayRole.Arn
"
            ),
            Trigger::SocketRoute(route) => {
                let mut properties = String::new();
                if route == "$connect" {
                    properties.push_str(
                        "      AuthorizationType: CUSTOM\n      AuthorizerId: !Ref AuthorizeSocketAuthorizer\n",
                    );
                }
                let mut response = String::new();
                if route == "$default" {
                    properties.push_str("      RouteResponseSelectionExpression: $default\n");
                    response = format!(
                        "
  # Without it, what the function returns would not reach the client.
  {id}RouteResponse:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties:
      ApiId: !Ref LiveApi
      RouteId: !Ref {id}Route
      RouteResponseKey: $default
"
                    );
                }
                format!(
                    "
  {id}Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref LiveApi
      IntegrationType: AWS_PROXY
      IntegrationUri: {invocation}
      CredentialsArn: !GetAtt GatewayRole.Arn

  {id}Route:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref LiveApi
      RouteKey: {route}
      Target: !Sub integrations/${{{id}Integration}}
{properties}{response}"
                )
            }
            Trigger::DeliveryQueue => queue_source(id),
            Trigger::Deployment => String::new(),
        }
    }
}

/// What has a queue call a function.
fn queue_source(id: &str) -> String {
    format!(
                "
  # A message each, so that none waits for another; what fails comes again, and after a few times is put with the dead letters.
  {id}Source:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      EventSourceArn: !Ref DeliveryQueueArn
      FunctionName: !Ref {id}Function
      BatchSize: 1
      FunctionResponseTypes: [ReportBatchItemFailures]
      ScalingConfig: {{MaximumConcurrency: 10}}
"
            )
}

/// A line of a function's environment.
fn variable(setting: &Setting) -> Option<String> {
    let value = match setting.source {
        Source::Secret(parameter) => format!("!Sub '{{{{resolve:secretsmanager:${{{parameter}}}:SecretString}}}}'"),
        Source::Parameter(parameter) => format!("!Ref {parameter}"),
        Source::Text(text) => format!("!Sub {text}"),
        Source::Elsewhere => return None,
    };
    Some(format!("          {}: {value}\n", setting.name))
}
