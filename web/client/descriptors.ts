/**
 * The last step of `npm run generate`. What describes the contract's files is base64 in the generated code, in which a
 * compressor finds few repeats. Pages have less to load if it is the text that `described.ts` reads. What no client looks at is
 * not in it: options, which are for doors and other languages.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fromBinary, isFieldSet, toJson } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  type ServiceDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import { descriptorOf } from "./src/described.ts";

/** The text that stands for a descriptor. */
function textOf(file: FileDescriptorProto): string {
  const shortName = (name: string) => name.replace(`.${file.package}.`, "").replace(".google.protobuf.", "*");

  const field = (it: FieldDescriptorProto, place: number, message: DescriptorProto) => {
    const { ENUM, MESSAGE, STRING } = FieldDescriptorProto_Type;
    const isNamed = it.type === ENUM || it.type === MESSAGE;
    const type = isNamed ? shortName(it.typeName) : FieldDescriptorProto_Type[it.type].toLowerCase();
    const isInOneof = isFieldSet(it, FieldDescriptorProtoSchema.field.oneofIndex) && !it.proto3Optional;
    return [
      isInOneof ? `${message.oneofDecl[it.oneofIndex]?.name}.` : "",
      it.name,
      it.proto3Optional ? "?" : "",
      it.number === (message.field[place - 1]?.number ?? 0) + 1 ? "" : `@${it.number}`,
      it.type === STRING ? "" : `:${it.type === ENUM ? "#" : ""}${type}`,
      it.label === FieldDescriptorProto_Label.REPEATED ? "[]" : "",
    ].join("");
  };

  const message = (it: DescriptorProto, outer = ""): string[] => {
    const fields = it.field.map((member, place) => field(member, place, it));
    const text = [`${it.options?.mapEntry ? "%" : ""}${outer}${it.name}`, ...fields].join(" ");
    return [text, ...it.nestedType.flatMap((nested) => message(nested, `${it.name}.`))];
  };

  const enumeration = (it: EnumDescriptorProto) => {
    const values = it.value.map(({ name, number }, place) =>
      number === (it.value[place - 1]?.number ?? -1) + 1 ? name : `${name}@${number}`,
    );
    return [`#${it.name}`, ...values].join(" ");
  };

  const service = (it: ServiceDescriptorProto) => [`&${it.name}`, ...it.method.map(({ name }) => name)].join(" ");

  return [
    `${file.name} ${file.package}`,
    ...file.messageType.flatMap((it) => message(it)),
    ...file.enumType.map(enumeration),
    ...file.service.map(service),
  ].join(";");
}

/** What clients look at. */
function looksOf(file: FileDescriptorProto): string {
  return JSON.stringify(toJson(FileDescriptorProtoSchema, file), (key, value) => {
    switch (key) {
      // Generated code gives the files that one needs, and names in JSON are what they always are.
      case "dependency":
      case "jsonName":
        return undefined;
      case "options":
        return value.mapEntry ? { mapEntry: true } : undefined;
      // protoc adds a oneof for each optional field, behind those that are written.
      case "oneofDecl": {
        const written = value.filter(({ name }: { name: string }) => !name.startsWith("_"));
        return written.length > 0 ? written : undefined;
      }
      default:
        return value?.proto3Optional ? { ...value, oneofIndex: undefined } : value;
    }
  });
}

const folder = new URL("src/generated/", import.meta.url);
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (entry.isFile()) {
    const path = `${entry.parentPath}/${entry.name}`;
    const code = readFileSync(path, "utf8");
    const described = code.replace(/fileDesc\("([\w+/=]+)"/u, (_, base64: string) => {
      const file = fromBinary(FileDescriptorProtoSchema, base64Decode(base64));
      const text = textOf(file);
      if (looksOf(descriptorOf(text)) !== looksOf(file)) {
        throw new Error(`${file.name} has something that the text of described.ts has no form for`);
      }
      return `described("${text}"`;
    });
    // All of it lies two folders deep.
    const imports = 'import { described } from "../../../described.ts";\nimport ';
    writeFileSync(path, described.replace(" fileDesc,", "").replace(/^import /mu, imports));
  }
}
