//! `google.protobuf.FieldMask`, as the contract's types hold it.

use serde::{Serialize, Serializer};

/// Which fields an update sets: `google.protobuf.FieldMask`.
///
/// Our own, since the JSON mapping wants one string of paths in camel case, `"displayName,avatarUrl"`, and
/// `pbjson_types` takes an object.
#[derive(Clone, Eq, Hash, PartialEq, prost::Message)]
pub struct FieldMask {
    /// The paths, in snake case as in the contract.
    #[prost(string, repeated, tag = "1")]
    pub paths: Vec<String>,
}

impl Serialize for FieldMask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let paths: Vec<String> = self.paths.iter().map(|path| camel_case(path)).collect();
        serializer.serialize_str(&paths.join(","))
    }
}

impl FieldMask {
    /// Reads the mapping's form. None: a path has an underscore, of which the mapping has none: it would come back as
    /// another one.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        let paths = text.split(',').filter(|path| !path.is_empty()).map(snake_case);
        (!text.contains('_')).then(|| Self { paths: paths.collect() })
    }
}

fn camel_case(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut after_underscore = false;
    for char in path.chars() {
        match char {
            '_' => after_underscore = true,
            char if after_underscore => {
                camel.push(char.to_ascii_uppercase());
                after_underscore = false;
            }
            char => camel.push(char),
        }
    }
    camel
}

fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for char in path.chars() {
        if char.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> FieldMask {
        FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn json_is_one_string_of_paths_in_camel_case() {
        for (paths, json) in [
            (mask(&["display_name", "avatar_url"]), "\"displayName,avatarUrl\""),
            (mask(&["profile.display_name"]), "\"profile.displayName\""),
            (mask(&[]), "\"\""),
        ] {
            assert_eq!(serde_json::to_string(&paths).unwrap(), json);
            assert_eq!(FieldMask::from_json(json.trim_matches('"')), Some(paths));
        }
    }

    #[test]
    fn what_is_no_mask_is_an_error() {
        assert_eq!(FieldMask::from_json("display_name"), None);
    }
}
