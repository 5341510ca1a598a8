//! What `proto/` says, as far as code and deployment must follow it.

use protox::prost_reflect::prost_types::MethodOptions;
use protox::prost_reflect::prost_types::method_options::IdempotencyLevel;

use crate::root;

/// An RPC of `proto/`.
pub(crate) struct Rpc {
    /// Such as `SendMessage`.
    pub(crate) name: String,
    /// Such as `/chat.v1.MessageService/SendMessage`.
    pub(crate) path: String,
    /// The crate's folder below `functions/`, such as `message`.
    pub(crate) folder: String,
    /// The names of its request's fields.
    pub(crate) fields: Vec<String>,
    /// Whether it changes nothing.
    pub(crate) only_reads: bool,
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
                let request = method.input_type().rsplit('.').next().unwrap_or_default();
                let mut messages = file.message_type.iter();
                let request = messages.find(|message| message.name() == request);
                let request = request.unwrap_or_else(|| panic!("the request of {} stands beside it", method.name()));
                let fields = request.field.iter();
                let level = method.options.as_ref().map(MethodOptions::idempotency_level);
                rpcs.push(Rpc {
                    name: method.name().to_owned(),
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    folder: folder.clone(),
                    fields: fields.map(|field| field.name().to_owned()).collect(),
                    only_reads: level == Some(IdempotencyLevel::NoSideEffects),
                });
            }
        }
    }
    assert!(!rpcs.is_empty(), "proto/ names no RPC");
    rpcs
}
