//! What is unsound is found, and said.

use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

use super::faults;

const NAME: &str = "chat/v1/sample.proto";

/// A file that is nowhere but here.
struct Sample(String);

impl FileResolver for Sample {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name != NAME {
            return Err(protox::Error::file_not_found(name));
        }
        File::from_source(name, &self.0)
    }
}

/// The faults of a service whose RPCs `R0`, `R1` … have these requests and options.
fn faults_in(rpcs: &[(&str, &str)]) -> Vec<String> {
    let rpcs: Vec<_> = (0..)
        .zip(rpcs)
        .map(|(index, (request, options))| format!("rpc R{index}({request}) returns (Empty) {{ {options} }}"))
        .collect();
    let mut files = ChainFileResolver::new();
    files.add(Sample(format!(
        r#"syntax = "proto3";
        package chat.v1;
        import "google/api/annotations.proto";
        import "google/protobuf/timestamp.proto";
        service S {{ {rpcs} }}
        message Flat {{ string id = 1; int64 seq = 2; google.protobuf.Timestamp since = 3; }}
        message Listing {{ string id = 1; repeated string ids = 2; }}
        message Deep {{ string id = 1; optional string note = 2; Empty part = 3; }}
        message Empty {{}}"#,
        rpcs = rpcs.concat(),
    )));
    files.add(IncludeFileResolver::new(crate::root().join("proto")));
    files.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(files);
    compiler.open_file(NAME).expect("the sample compiles");
    faults(crate::rpcs(&compiler.descriptor_pool()))
}

const READ: &str = "option idempotency_level = NO_SIDE_EFFECTS;";

#[test]
fn what_is_sound_has_no_fault() {
    let read = |http: &str| format!("{READ} option (google.api.http) = {{{http}}};");
    let change = |http: &str| format!("option (google.api.http) = {{{http}}};");
    let rpcs = [
        ("Flat", read(r#"get: "/v1/things""#)),
        ("Flat", read(r#"get: "/v1/things/{id}/{seq}""#)),
        ("Listing", read(r#"get: "/v1/things/{id}""#)),
        ("Listing", read(r#"post: "/v1/things/batch-get" body: "*""#)),
        ("Deep", read(r#"post: "/v1/deep" body: "*""#)),
        ("Flat", change(r#"post: "/v1/things" body: "*""#)),
        ("Flat", change(r#"put: "/v1/things/{id}" body: "*""#)),
        ("Deep", change(r#"patch: "/v1/things/{id}" body: "part""#)),
        ("Flat", change(r#"delete: "/v1/things/{id}""#)),
        ("Empty", change(r#"post: "/v1/tickets" body: "*""#)),
    ];
    let rpcs: Vec<_> = rpcs
        .iter()
        .map(|(request, options)| (*request, options.as_str()))
        .collect();
    assert_eq!(faults_in(&rpcs), Vec::<String>::new());
}

#[test]
fn what_is_unsound_is_said() {
    let reads = [
        (
            "Flat",
            r#"post: "/v1/things" body: "*""#,
            "is a read whose request fits into a URL: make it a GET",
        ),
        (
            "Flat",
            r#"put: "/v1/things" body: "*""#,
            "is a read, and its method is for changes",
        ),
        ("Flat", r#"get: "/v1/things" body: "*""#, "is a GET and has a body"),
        (
            "Deep",
            r#"get: "/v1/things""#,
            "leaves `part` to the query, which carries no messages",
        ),
    ];
    let changes = [
        ("Flat", r#"get: "/v1/things""#, "is a GET, so it must change nothing"),
        (
            "Flat",
            r#"delete: "/v1/things" body: "*""#,
            "is a DELETE and has a body",
        ),
        (
            "Flat",
            r#"post: "/v1/things""#,
            "is a POST and has no body; add `body: \"*\"`",
        ),
        (
            "Flat",
            r#"post: "/v1/things" body: "no""#,
            "has the body `no`, which is no field of Flat",
        ),
        (
            "Deep",
            r#"put: "/v1/{id}" body: "id""#,
            "has `id` in its path and as its body",
        ),
        (
            "Flat",
            r#"delete: "/v1/{no}""#,
            "has {no} in its path, which is no field of Flat",
        ),
        ("Flat", r#"delete: "/v1/{id}/{id}""#, "has {id} in its path, and again"),
        (
            "Listing",
            r#"delete: "/v1/{ids}""#,
            "has {ids} in its path, which is no single string, integer or bool",
        ),
        (
            "Deep",
            r#"put: "/v1/{note}" body: "*""#,
            "has {note} in its path, which is no single string",
        ),
        (
            "Flat",
            r#"delete: "/v1/{since}""#,
            "has {since} in its path, which is no single string",
        ),
        (
            "Flat",
            r#"delete: "/things""#,
            "has the path /things, which does not begin with /v1/",
        ),
        ("Flat", r#"delete: "/v1/""#, "has the segment `` in its path"),
        (
            "Flat",
            r#"delete: "/v1/{id}:drop""#,
            "has the segment `{id}:drop` in its path",
        ),
        (
            "Flat",
            r#"delete: "/v1/{id=a/*}""#,
            "has the segment `{id=a` in its path",
        ),
        (
            "Flat",
            r#"delete: "/v1/x-{id}""#,
            "has the segment `x-{id}` in its path",
        ),
        (
            "Flat",
            r#"custom: {kind: "HEAD" path: "/v1/a"}"#,
            "has `custom` in google.api.http",
        ),
        (
            "Flat",
            r#"delete: "/v1/a" additional_bindings {delete: "/v1/b"}"#,
            "has `additional_bindings`",
        ),
        ("Flat", r#"body: "*""#, "has no method and path in google.api.http"),
    ];
    let reads = reads.iter().map(|case| (READ, case));
    for (level, (request, http, expected)) in reads.chain(changes.iter().map(|case| ("", case))) {
        let options = format!("{level} option (google.api.http) = {{{http}}};");
        let faults = faults_in(&[(request, &options)]);
        let expected = format!("proto/chat/v1/sample.proto: S.R0 {expected}");
        assert!(
            faults.iter().any(|fault| fault.starts_with(&expected)),
            "{http}: {faults:?}"
        );
    }
}

#[test]
fn an_rpc_without_a_form_is_named_with_what_to_add() {
    let expected = "proto/chat/v1/sample.proto: S.R0 has no google.api.http; \
                    add `option (google.api.http) = {get: \"/v1/...\"};` or alike";
    assert_eq!(faults_in(&[("Flat", "")]), [expected]);
}

#[test]
fn no_request_could_be_meant_for_two() {
    let delete = |path: &str| format!("option (google.api.http) = {{delete: \"/v1/{path}\"}};");
    let meet = |one: &str, other: &str| !faults_in(&[("Flat", &delete(one)), ("Flat", &delete(other))]).is_empty();
    assert!(meet("a/{id}", "a/{seq}"));
    assert!(meet("a/{id}", "a/b"));
    assert!(meet("a/{id}", "{id}/b"));
    assert!(!meet("a/{id}", "b/{id}"));
    assert!(!meet("a/{id}", "a/{id}/b"));
    let put = "option (google.api.http) = {put: \"/v1/a/{id}\" body: \"*\"};";
    assert!(faults_in(&[("Flat", &delete("a/{id}")), ("Flat", put)]).is_empty());
}
