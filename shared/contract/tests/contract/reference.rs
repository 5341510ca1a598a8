//! `docs/contract.md`: the contract as a page, for people who write a client.
//!
//! Written here since the usual protoc-gen-doc is Go, and `mdbook-protobuf` brings mdBook and an older prost along.

mod prose;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use prose::{Names, anchor, blocks, cell, link, summary};
use prost_types::source_code_info::Location;
use protox::prost_reflect::{
    DescriptorPool, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    MethodDescriptor,
};

use crate::rest::{Route, is_read};
use crate::rust::TAKES_ALL;

const HEAD: &str = "\
<!-- @generated from proto/ by `cargo test --workspace --test contract`. -->

# Contract reference

For people who write a client: every RPC, message and live event, as the comments in [proto/](../proto) have it. The
[README](../README.md#talk) shows a first conversation.

";

/// Where a file's descriptor has its package.
const PACKAGE: &[i32] = &[2];

/// The page.
pub(crate) fn markdown(pool: &DescriptorPool) -> String {
    let files = pool.files().filter(|file| !file.package_name().starts_with("google."));
    let files: Vec<_> = files.collect();
    let mut packages: Vec<&str> = files.iter().map(FileDescriptor::package_name).collect();
    packages.dedup();

    let mut page = Page::new(&files);
    for package in packages {
        let files = files.iter().filter(|file| file.package_name() == package);
        page.heading(2, package);
        for file in files.clone() {
            page.text(&comment(file, PACKAGE));
        }
        for file in files {
            page.file(file);
        }
    }
    format!("{HEAD}## Contents\n\n{}{}", page.contents, page.body)
}

struct Page {
    names: Names,
    /// The anchors of all headings so far.
    anchors: BTreeSet<String>,
    contents: String,
    body: String,
}

impl Page {
    fn new(files: &[FileDescriptor]) -> Self {
        let mut names = Names::new();
        for file in files {
            for service in file.services() {
                names.extend(service.methods().map(|rpc| rpc.name().to_owned()));
                names.insert(service.name().to_owned());
            }
            names.extend(types(file).iter().map(type_name));
        }
        Self {
            names,
            anchors: BTreeSet::from([anchor("Contents")]),
            contents: String::new(),
            body: String::new(),
        }
    }

    fn heading(&mut self, level: usize, name: &str) {
        // GitHub numbers an anchor that comes again, and links would lead to the first.
        let is_new = self.anchors.insert(anchor(name));
        assert!(is_new, "{name}: another heading has its anchor");
        writeln!(self.body, "\n{} {name}", "#".repeat(level)).expect(TAKES_ALL);
    }

    fn text(&mut self, comment: &str) {
        if !comment.is_empty() {
            writeln!(self.body, "\n{}", blocks(comment, &self.names)).expect(TAKES_ALL);
        }
    }

    fn table(&mut self, head: [&str; 3], rows: &[[String; 3]]) {
        writeln!(self.body, "\n| {} |\n| --- | --- | --- |", head.join(" | ")).expect(TAKES_ALL);
        for row in rows {
            writeln!(self.body, "| {} |", row.join(" | ")).expect(TAKES_ALL);
        }
    }

    fn file(&mut self, file: &FileDescriptor) {
        let mut of_rpcs = Vec::new();
        for service in file.services() {
            let about = comment(file, service.path());
            let summary = summary(&about, &self.names);
            writeln!(self.contents, "- {}: {summary}", link(service.name())).expect(TAKES_ALL);
            self.heading(3, service.name());
            self.text(&about);
            for rpc in service.methods() {
                self.rpc(file, &rpc);
                of_rpcs.extend([rpc.input(), rpc.output()].map(Kind::Message));
            }
        }
        let types: Vec<_> = types(file).into_iter().filter(|kind| !of_rpcs.contains(kind)).collect();
        if types.is_empty() {
            return;
        }
        let title = format!("Types of {}", file.name().rsplit('/').next().unwrap_or_default());
        let links: Vec<_> = types.iter().map(|kind| link(&type_name(kind))).collect();
        writeln!(self.contents, "  - {}: {}", link(&title), links.join(", ")).expect(TAKES_ALL);
        self.heading(3, &title);
        for kind in &types {
            self.kind(4, kind);
        }
    }

    fn rpc(&mut self, file: &FileDescriptor, rpc: &MethodDescriptor) {
        let about = comment(file, rpc.path());
        let summary = summary(&about, &self.names);
        writeln!(self.contents, "  - {}: {summary}", link(rpc.name())).expect(TAKES_ALL);
        self.heading(4, rpc.name());
        let service = rpc.parent_service();
        write!(self.body, "\n`POST /{}/{}`", service.full_name(), rpc.name()).expect(TAKES_ALL);
        // A service that is not ours has none.
        if let Ok(Route { method, path, .. }) = Route::of(rpc) {
            write!(self.body, " · in REST: `{method} {path}`").expect(TAKES_ALL);
        }
        self.body.push_str(if is_read(rpc) { " · reads only\n" } else { "\n" });
        self.text(&about);
        self.kind(5, &Kind::Message(rpc.input()));
        self.kind(5, &Kind::Message(rpc.output()));
    }

    fn kind(&mut self, level: usize, kind: &Kind) {
        self.heading(level, &type_name(kind));
        match kind {
            Kind::Message(message) => {
                self.text(&comment(&message.parent_file(), message.path()));
                self.fields(message);
            }
            Kind::Enum(kind) => {
                self.text(&comment(&kind.parent_file(), kind.path()));
                self.values(kind);
            }
            scalar => panic!("{scalar:?} has no definition"),
        }
    }

    fn fields(&mut self, message: &MessageDescriptor) {
        let file = message.parent_file();
        let mut rows = Vec::new();
        for field in message.fields() {
            let about = |path: &[i32]| cell(&comment(&file, path), &self.names);
            let row = |mark: &str, field: &FieldDescriptor| {
                [format!("{mark}`{}`", field.name()), type_of(field), about(field.path())]
            };
            match field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
                None => rows.push(row("", &field)),
                // All of a oneof stands where its first field is.
                Some(oneof) if oneof.fields().next().as_ref() == Some(&field) => {
                    rows.push([format!("`{}`", oneof.name()), "one of".to_owned(), about(oneof.path())]);
                    rows.extend(oneof.fields().map(|field| row("↳\u{a0}", &field)));
                }
                Some(_) => {}
            }
        }
        if rows.is_empty() {
            self.body.push_str("\nIt has no fields.\n");
        } else {
            self.table(["Field", "Type", "What it is"], &rows);
        }
    }

    fn values(&mut self, kind: &EnumDescriptor) {
        let file = kind.parent_file();
        let row = |value: EnumValueDescriptor| {
            let about = cell(&comment(&file, value.path()), &self.names);
            [format!("`{}`", value.name()), value.number().to_string(), about]
        };
        let rows: Vec<_> = kind.values().map(row).collect();
        self.table(["Value", "Number", "What it says"], &rows);
    }
}

/// The messages and enums of a file, as they stand there.
fn types(file: &FileDescriptor) -> Vec<Kind> {
    let mut types = Vec::new();
    let span = |path: &[i32]| location(file, path).map(|location| location.span.clone());
    let mut add = |path: &[i32], kind| types.push((span(path), kind));
    for message in file.messages() {
        for child in message.child_enums() {
            add(child.path(), Kind::Enum(child.clone()));
        }
        add(message.path(), Kind::Message(message.clone()));
    }
    for kind in file.enums() {
        add(kind.path(), Kind::Enum(kind.clone()));
    }
    types.sort_by(|(one, _), (other, _)| one.cmp(other));
    types.into_iter().map(|(_, kind)| kind).collect()
}

/// A message or an enum as its heading has it: the package is that of the file.
fn type_name(kind: &Kind) -> String {
    let (name, package) = match kind {
        Kind::Message(message) => (message.full_name(), message.package_name()),
        Kind::Enum(kind) => (kind.full_name(), kind.package_name()),
        scalar => return format!("{scalar:?}"),
    };
    name.strip_prefix(package)
        .unwrap_or(name)
        .trim_start_matches('.')
        .to_owned()
}

fn type_of(field: &FieldDescriptor) -> String {
    let name = type_name(&field.kind());
    let name = match field.kind() {
        Kind::Message(message) if message.package_name().starts_with("google.") => name,
        Kind::Message(_) | Kind::Enum(_) => link(&name),
        _ => name,
    };
    match field.containing_oneof() {
        _ if field.is_list() => format!("list of {name}"),
        Some(oneof) if oneof.is_synthetic() => format!("optional {name}"),
        _ => name,
    }
}

fn location<'a>(file: &'a FileDescriptor, path: &[i32]) -> Option<&'a Location> {
    let source = file.file_descriptor_proto().source_code_info.as_ref()?;
    source.location.iter().find(|location| location.path == path)
}

fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let location = location(file, path);
    location.map_or_else(String::new, |location| location.leading_comments().to_owned())
}
