//! The form of an RPC in REST, which its option `google.api.http` gives, and what makes it sound.

mod tests;

use prost_types::method_options::IdempotencyLevel;
use protox::prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

/// The name of a request's field by which whoever has it may do something.
const SECRET: &str = "token";

/// The method and path by which REST knows an RPC.
pub(crate) struct Route {
    /// Such as `GET`.
    pub(crate) method: String,
    /// Such as `/v1/conversations/{conversation_id}`.
    pub(crate) path: String,
    segments: Vec<Segment>,
    /// The field that is the body; `*` for all that are not in the path.
    body: Option<String>,
}

#[derive(Eq, PartialEq)]
enum Segment {
    Literal(String),
    /// The name of a field of the request.
    Variable(String),
}

impl Route {
    /// What the RPC's option says, or why that is no route.
    pub(crate) fn of(rpc: &MethodDescriptor) -> Result<Self, String> {
        let options = rpc.options();
        let extension = rpc.parent_pool().get_extension_by_name("google.api.http");
        let Some(extension) = extension.filter(|extension| options.has_extension(extension)) else {
            return Err(
                "has no google.api.http; add `option (google.api.http) = {get: \"/v1/...\"};` or alike".to_owned(),
            );
        };
        let rule = options.get_extension(&extension);
        let mut pattern = None;
        let mut body = None;
        for (field, value) in rule.as_message().into_iter().flat_map(DynamicMessage::fields) {
            let text = value.as_str().unwrap_or_default().to_owned();
            match field.name() {
                "body" => body = Some(text),
                method @ ("get" | "put" | "post" | "patch" | "delete") => {
                    pattern = Some((method.to_uppercase(), text));
                }
                other => {
                    return Err(format!(
                        "has `{other}` in google.api.http; a method, a path and a body are enough"
                    ));
                }
            }
        }
        let (method, path) = pattern.ok_or("has no method and path in google.api.http")?;
        Ok(Self {
            segments: segments(&path)?,
            method,
            path,
            body,
        })
    }

    fn has_variable(&self, field: &str) -> bool {
        self.segments.contains(&Segment::Variable(field.to_owned()))
    }

    /// Whether a request could be meant for either.
    fn meets(&self, other: &Self) -> bool {
        let meet = |pair: (&Segment, &Segment)| match pair {
            (Segment::Literal(one), Segment::Literal(other)) => one == other,
            _ => true,
        };
        self.method == other.method
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(meet)
    }

    fn path_faults(&self, request: &MessageDescriptor) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            let Segment::Variable(name) = segment else { continue };
            let fault = match request.get_field_by_name(name) {
                None => format!("which is no field of {}", request.name()),
                Some(field) if !is_plain(&field) => "which is no single string, integer or bool".to_owned(),
                Some(_) if self.segments.iter().take(index).any(|other| other == segment) => "and again".to_owned(),
                Some(_) => continue,
            };
            faults.push(format!("has {{{name}}} in its path, {fault}"));
        }
        faults
    }

    fn body_fault(&self, request: &MessageDescriptor) -> Option<String> {
        let method = &self.method;
        let takes_body = !matches!(method.as_str(), "GET" | "DELETE");
        let Some(body) = &self.body else {
            // Else a field that is added later would find itself in the query.
            return takes_body.then(|| format!("is a {method} and has no body; add `body: \"*\"`"));
        };
        if !takes_body {
            return Some(format!("is a {method} and has a body"));
        }
        if body == "*" {
            return None;
        }
        match request.get_field_by_name(body) {
            None => Some(format!(
                "has the body `{body}`, which is no field of {}",
                request.name()
            )),
            Some(_) if self.has_variable(body) => Some(format!("has `{body}` in its path and as its body")),
            Some(_) => None,
        }
    }

    /// What is in neither path nor body is the query's.
    fn query_faults(&self, request: &MessageDescriptor) -> Vec<String> {
        let is_body = |name: &str| self.body.as_deref().is_some_and(|body| body == "*" || body == name);
        request
            .fields()
            .filter(|field| !is_body(field.name()) && !self.has_variable(field.name()))
            .filter(|field| !fits_into_query(field))
            .map(|field| format!("leaves `{}` to the query, which carries no messages", field.name()))
            .collect()
    }

    fn method_fault(&self, rpc: &MethodDescriptor) -> Option<String> {
        // A hundred ids are longer than the 10,240 bytes of request line and headers that API Gateway takes: so a read with a
        // list may be a POST. One with messages in its request has to be.
        // Nor does a secret belong into a URL, which logs keep.
        let stays_out_of_urls =
            |field: FieldDescriptor| field.is_list() || !fits_into_query(&field) || field.name() == SECRET;
        let fault = match (self.method.as_str(), is_read(rpc)) {
            ("GET", false) => {
                "is a GET, so it must change nothing: add `option idempotency_level = NO_SIDE_EFFECTS;` or take another \
                 method"
            }
            ("POST", true) if !rpc.input().fields().any(stays_out_of_urls) => {
                "is a read whose request fits into a URL: make it a GET"
            }
            ("PUT" | "PATCH" | "DELETE", true) => "is a read, and its method is for changes",
            _ => return None,
        };
        Some(fault.to_owned())
    }

    fn faults(&self, rpc: &MethodDescriptor) -> Vec<String> {
        let request = rpc.input();
        let mut faults = self.path_faults(&request);
        faults.extend(self.body_fault(&request));
        faults.extend(self.query_faults(&request));
        faults.extend(self.method_fault(rpc));
        faults
    }
}

/// What is unsound, a line each.
pub(crate) fn faults(rpcs: impl IntoIterator<Item = MethodDescriptor>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut routes: Vec<(String, Route)> = Vec::new();
    for rpc in rpcs {
        let name = format!("{}.{}", rpc.parent_service().name(), rpc.name());
        let file = rpc.parent_file();
        let mut blame = |fault: String| faults.push(format!("proto/{}: {name} {fault}", file.name()));
        match Route::of(&rpc) {
            Err(fault) => blame(fault),
            Ok(route) => {
                route.faults(&rpc).into_iter().for_each(&mut blame);
                for (other, _) in routes.iter().filter(|(_, other)| route.meets(other)) {
                    blame(format!(
                        "has a route that {other} has as well: {} {}",
                        route.method, route.path
                    ));
                }
                routes.push((name, route));
            }
        }
    }
    faults
}

fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let is_word = |text: &str, extra: u8| {
        let is_of_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == extra;
        !text.is_empty() && text.bytes().all(is_of_word)
    };
    let Some(rest) = path.strip_prefix('/').filter(|rest| rest.starts_with("v1/")) else {
        return Err(format!("has the path {path}, which does not begin with /v1/"));
    };
    // A variable is a whole segment, since API Gateway's are; so there is no `{id}:verb`.
    let segment = |text: &str| match text.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(name) if is_word(name, b'_') => Ok(Segment::Variable(name.to_owned())),
        None if is_word(text, b'-') => Ok(Segment::Literal(text.to_owned())),
        _ => Err(format!(
            "has the segment `{text}` in its path, which is neither a word in lower case nor a {{field}}"
        )),
    };
    rest.split('/').map(segment).collect()
}

/// Whether it is marked to change nothing.
pub(crate) fn is_read(rpc: &MethodDescriptor) -> bool {
    let options = rpc.method_descriptor_proto().options.as_ref();
    options.is_some_and(|options| options.idempotency_level() == IdempotencyLevel::NoSideEffects)
}

/// Whether it always has exactly one value, which a segment of a path can be.
fn is_plain(field: &FieldDescriptor) -> bool {
    let is_scalar = !matches!(
        field.kind(),
        Kind::Message(_) | Kind::Enum(_) | Kind::Bytes | Kind::Float | Kind::Double
    );
    is_scalar && !field.is_list() && field.containing_oneof().is_none()
}

/// Whether it is one text in JSON, or a list of such.
fn fits_into_query(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => matches!(
            message.full_name(),
            "google.protobuf.Timestamp" | "google.protobuf.Duration" | "google.protobuf.FieldMask"
        ),
        _ => true,
    }
}
