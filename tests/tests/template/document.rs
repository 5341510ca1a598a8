//! Reads `template.yaml` as JSON, with CloudFormation's short tags in their long form: `!Ref X` is `{"Ref": "X"}`,
//! `!Sub x` is `{"Fn::Sub": "x"}`, `!GetAtt A.B` is `{"Fn::GetAtt": "A.B"}`.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use crate::root;

/// The template, and the size of its file in bytes.
pub(crate) fn template() -> (Value, usize) {
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let mut documents = Yaml::load_from_str(&text).unwrap();
    assert_eq!(documents.len(), 1, "template.yaml holds one document");
    (json(&documents.remove(0)), text.len())
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
            panic!("template.yaml holds something that CloudFormation does not read: {yaml:?}")
        }
    }
}
