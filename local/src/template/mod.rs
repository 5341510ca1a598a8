//! How the functions are deployed, written from the functions themselves.
//!
//! `template.yaml` is the head: parameters, what all functions share, the APIs and the alarms, written by hand. Below it is
//! a nested stack per service (`stacks/`), and a part of the head that embeds them; both are written here, from the
//! functions' triggers and from what each asks for when it is made. So a function can be given nothing that it does not
//! use, and uses nothing that it was not given.

mod settings;
mod stack;

use std::collections::BTreeMap;

use chat_operation::SettingsError;

use crate::Service;
use crate::names::pascal_case;

/// The head's file, and the folder of the stacks below it.
pub const HEAD: &str = "template.yaml";
const STACKS: &str = "stacks";

/// What is written of the head stands between these lines.
const BEGIN: &str = "  # ---- A stack per service: written by `cargo chat template`, down to the next such line ----\n";
const END: &str = "  # ---- What all functions share, continued ----\n";

/// CloudFormation takes 500 resources a stack and 1 MB a template. A deployed function cannot move to another stack, since
/// its name would be taken, so a service is split long before.
const RESOURCES_MAX: usize = 300;
const TEMPLATE_BYTES_MAX: usize = 1_000_000;

/// What ministack, a stand-in for AWS, does not know: responses of routes, and alarms that compare metrics.
const NOT_IN_MINISTACK: [&str; 2] = ["AWS::ApiGatewayV2::RouteResponse", "AWS::CloudWatch::Alarm"];

/// For what a template is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Target {
    /// AWS.
    #[default]
    Aws,
    /// ministack: the same without the two kinds of resources that it does not know.
    Ministack,
}

/// A file of the template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// Where it belongs, below the head's folder.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// Why the template cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The head has no place for the stacks.
    #[error("{HEAD} lacks the line `{line}`, which marks what is written")]
    Marker {
        /// The line.
        line: &'static str,
    },
    /// Nobody says where a setting comes from.
    #[error("{function} asks for {name}; say in local/src/template/settings.rs where it comes from")]
    UnknownSetting {
        /// The function.
        function: &'static str,
        /// The setting.
        name: &'static str,
    },
    /// Nobody says what a setting leads to.
    #[error("{function} calls {action} on what {name} leads to, which has no ARN in local/src/template/settings.rs")]
    NoArn {
        /// The function.
        function: &'static str,
        /// The action.
        action: &'static str,
        /// The setting.
        name: &'static str,
    },
    /// A setting comes from what a stack is not given.
    #[error("{name} comes from {parameter}, which PARAMETERS of local/src/template/stack.rs does not hand to stacks")]
    UnknownParameter {
        /// The setting.
        name: &'static str,
        /// The parameter.
        parameter: &'static str,
    },
    /// Two functions would be one.
    #[error(
        "functions/{one} and functions/{other} both have {name}, which is one program and one function of AWS: rename one"
    )]
    SameName {
        /// The function.
        name: &'static str,
        /// A crate.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// The example of a setting is not of its form.
    #[error("{function} cannot be made with the examples of local/src/template/settings.rs")]
    Settings {
        /// The function.
        function: &'static str,
        /// What is wrong.
        source: SettingsError,
    },
    /// A role's policy would be refused.
    #[error(
        "the policy of {role} has about {bytes} bytes, more than {max}: give new RPCs a service of their own, since functions that are deployed cannot move"
    )]
    Policy {
        /// The role.
        role: String,
        /// What it has.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// A stack would be refused, or soon.
    #[error(
        "{path} has {resources} resources and {bytes} bytes, more than {RESOURCES_MAX} or {TEMPLATE_BYTES_MAX}: split the crate"
    )]
    Size {
        /// The file.
        path: String,
        /// Its resources.
        resources: usize,
        /// Its bytes.
        bytes: usize,
    },
}

/// The files of the template: `head`, what is written in it anew, and a stack per service.
pub fn render(head: &str, services: &[Service], target: Target) -> Result<Vec<File>, TemplateError> {
    let (before, rest) = head
        .split_once(BEGIN)
        .ok_or(TemplateError::Marker { line: BEGIN.trim() })?;
    let (_, after) = rest.split_once(END).ok_or(TemplateError::Marker { line: END.trim() })?;
    refuse_namesakes(services)?;
    let mut embedded = String::new();
    let mut files = Vec::new();
    for service in services {
        let path = format!("{STACKS}/{}.yaml", service.name);
        let text = stack::stack(service)?;
        embedded.push_str(&embed(service.name, &path, &text));
        files.push(File { path, text });
    }
    let head = format!("{before}{BEGIN}{embedded}\n{END}{after}");
    files.push(File {
        path: HEAD.to_owned(),
        text: head,
    });
    for file in &mut files {
        if target == Target::Ministack {
            file.text = without(&file.text, &NOT_IN_MINISTACK);
        }
        let (resources, bytes) = (resources(&file.text).count(), file.text.len());
        if resources > RESOURCES_MAX || bytes > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::Size {
                path: file.path.clone(),
                resources,
                bytes,
            });
        }
    }
    Ok(files)
}

fn refuse_namesakes(services: &[Service]) -> Result<(), TemplateError> {
    let mut owners = BTreeMap::new();
    for service in services {
        for function in service.functions {
            let name = function.name();
            if let Some(one) = owners.insert(name, service.name) {
                let other = service.name;
                return Err(TemplateError::SameName { name, one, other });
            }
        }
    }
    Ok(())
}

/// The resource of the head that embeds a stack.
fn embed(service: &str, path: &str, stack: &str) -> String {
    let parameters: Vec<_> = stack::parameters(stack)
        .map(|(name, _, value)| format!("        {name}: {value}\n"))
        .collect();
    let parameters = parameters.concat();
    format!(
        "
  {}Stack:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: {path}
      Parameters:
{parameters}",
        pascal_case(service)
    )
}

/// The lines of a template that name its resources.
fn resources(template: &str) -> impl Iterator<Item = &str> {
    let (_, resources) = template.split_once("\nResources:\n").unwrap_or_default();
    let end = resources.find("\nOutputs:").unwrap_or(resources.len());
    resources
        .get(..end)
        .unwrap_or_default()
        .lines()
        .filter(|line| is_resource(line))
}

/// Whether a line names a resource: it is indented by two, and no comment.
fn is_resource(line: &str) -> bool {
    line.strip_prefix("  ")
        .is_some_and(|line| line.starts_with(|letter: char| letter.is_ascii_alphabetic()))
}

/// A template without the resources of these types.
fn without(template: &str, types: &[&str]) -> String {
    let lines: Vec<&str> = template.split_inclusive('\n').collect();
    let mut kept = String::new();
    let mut skipping = false;
    for (index, line) in lines.iter().enumerate() {
        // Whatever is indented by less than a resource's own lines ends it: another one, a comment, a section.
        if !line.trim().is_empty() && !line.starts_with("    ") {
            let kind = lines.get(index + 1).and_then(|next| next.trim().strip_prefix("Type: "));
            skipping = is_resource(line) && kind.is_some_and(|kind| types.contains(&kind));
        }
        if !skipping {
            kept.push_str(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
