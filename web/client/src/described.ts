/**
 * How the generated code describes a file of the contract, as `descriptors.ts` writes it: in a text that compresses to half of
 * what the descriptor itself does. Behind the file's name and package stand its declarations, each after a semicolon:
 *
 * | in the text | what it declares |
 * |---|---|
 * | `Profile user_id updated_at:*Timestamp` | a message; a field is a string unless its type is said |
 * | `%ErrorInfo.MetadataEntry key value` | the entries of a map, here of a message in another one |
 * | `#GroupRole GROUP_ROLE_UNSPECIFIED` | an enum |
 * | `&UserService GetProfiles` | a service; `GetProfiles` takes a `GetProfilesRequest` and answers a `GetProfilesResponse` |
 *
 * A type with `*` before it is of the package `google.protobuf`, one with `#` is an enum, and `[]` at the end says repeated.
 * `name?` is optional, `event.name` belongs to a oneof. Fields count from 1 and values from 0, unless one says its number, as
 * `name@7` does.
 */

import { create, createFileRegistry, type DescFile } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import {
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

/** Of google.protobuf.FieldDescriptorProto, whose enums would weigh more. */
const SCALARS: Readonly<Record<string, number>> = { int64: 3, int32: 5, bool: 8, string: 9 };
const MESSAGE = 11;
const ENUM = 14;
const SINGULAR = 1;
const REPEATED = 3;

const PART = /^(?:(\w+)\.)?(\w+)(\?)?(?:@(\d+))?(?::([*#.\w]+))?(\[\])?$/u;

/** The descriptor that a text stands for. */
export function descriptorOf(text: string): FileDescriptorProto {
  const [head = "", ...declarations] = text.split(";");
  const [name = "", inPackage = ""] = head.split(" ");
  const file = create(FileDescriptorProtoSchema, { name, package: inPackage, syntax: "proto3" });
  const fullName = (type: string) =>
    type[0] === "*" ? `.google.protobuf.${type.slice(1)}` : `.${inPackage}.${type.replace("#", "")}`;

  for (const declaration of declarations) {
    const [title = "", ...parts] = declaration.split(" ");
    const [, mark, outer, own = ""] = title.match(/^([%#&]?)(?:(\w+)\.)?(\w+)$/u) ?? [];
    let number = mark === "#" ? -1 : 0;
    const oneofs: string[] = [];
    const members = parts.map((part) => {
      const [, oneof, member = "", optional, said, type = "string", repeated] = part.match(PART) ?? [];
      number = Number(said ?? number + 1);
      if (oneof && !oneofs.includes(oneof)) {
        oneofs.push(oneof);
      }
      return { oneof, member, optional, number, type, repeated };
    });
    if (mark === "#") {
      const value = members.map((it) => ({ name: it.member, number: it.number }));
      file.enumType.push(create(EnumDescriptorProtoSchema, { name: own, value }));
    } else if (mark === "&") {
      const method = members.map(({ member }) => ({
        name: member,
        inputType: fullName(`${member}Request`),
        outputType: fullName(`${member}Response`),
      }));
      file.service.push(create(ServiceDescriptorProtoSchema, { name: own, method }));
    } else {
      const field = members.map((it) => ({
        name: it.member,
        jsonName: protoCamelCase(it.member),
        number: it.number,
        label: it.repeated ? REPEATED : SINGULAR,
        type: SCALARS[it.type] ?? (it.type[0] === "#" ? ENUM : MESSAGE),
        ...(!SCALARS[it.type] && { typeName: fullName(it.type) }),
        ...(it.oneof && { oneofIndex: oneofs.indexOf(it.oneof) }),
        ...(it.optional && { proto3Optional: true }),
      }));
      const siblings = file.messageType.find((message) => message.name === outer)?.nestedType ?? file.messageType;
      siblings.push(
        create(DescriptorProtoSchema, {
          name: own,
          field,
          oneofDecl: oneofs.map((oneof) => ({ name: oneof })),
          ...(mark && { options: { mapEntry: true } }),
        }),
      );
    }
  }
  return file;
}

/** What a text describes, which may name what the other files declare. */
export function described(text: string, imports: readonly DescFile[] = []): DescFile {
  const descriptor = descriptorOf(text);
  descriptor.dependency = imports.map((file) => file.proto.name);
  const registry = createFileRegistry(descriptor, (name) => imports.find((file) => file.proto.name === name));
  return registry.getFile(descriptor.name) as DescFile;
}
