//! Reads the template's files as JSON, with CloudFormation's short tags in their long form: `!Ref X` is `{"Ref": "X"}`,
//! `!Sub x` is `{"Fn::Sub": "x"}`, `!GetAtt A.B` is `{"Fn::GetAtt": "A.B"}`.

use std::collections::BTreeMap;
use std::path::Path;

use chat_local::SERVICES;
use chat_local::template::HEAD;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use crate::root;

/// The head of the template.
pub(crate) fn head() -> Value {
    read(&root().join(HEAD))
}

/// The stacks below the head, by the names of their services.
pub(crate) fn stacks() -> BTreeMap<&'static str, Value> {
    SERVICES
        .iter()
        .map(|service| {
            let file = root().join("stacks").join(format!("{}.yaml", service.name));
            (service.name, read(&file))
        })
        .collect()
}

/// All of a template's resources of a type.
pub(crate) fn resources_of_type<'a>(
    template: &'a Value,
    kind: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources.filter(move |(_, resource)| resource["Type"] == kind)
}

fn read(file: &Path) -> Value {
    parse(&std::fs::read_to_string(file).unwrap())
}

/// The one document of a template.
pub(crate) fn parse(template: &str) -> Value {
    let mut documents = Yaml::load_from_str(template).unwrap();
    assert_eq!(documents.len(), 1);
    json(&documents.remove(0))
}

fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::Boolean(flag)) => json!(flag),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (json(key).as_str().unwrap().to_owned(), json(value)))
            .collect(),
        Yaml::Tagged(tag, value) => {
            let function = match tag.suffix.as_str() {
                "Ref" | "Condition" => tag.suffix.clone(),
                suffix => format!("Fn::{suffix}"),
            };
            Value::Object(Map::from_iter([(function, json(value))]))
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
            panic!("a template holds something that CloudFormation does not read: {yaml:?}")
        }
    }
}
