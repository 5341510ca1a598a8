"""Reads JSON with the protobuf package's json_format. Arguments: a file descriptor set, and a file with one
[message, JSON text] a line. Prints the binary form of each in hexadecimal, or a dash where it is refused."""

import json
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

files = descriptor_pb2.FileDescriptorSet()
with open(sys.argv[1], "rb") as descriptors:
    files.ParseFromString(descriptors.read())
pool = descriptor_pool.DescriptorPool()
for file in files.file:
    pool.Add(file)
with open(sys.argv[2], encoding="utf-8") as cases:
    for line in cases:
        name, text = json.loads(line)
        message = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()
        try:
            json_format.Parse(text, message, ignore_unknown_fields=True)
            print(message.SerializeToString(deterministic=True).hex())
        except (json_format.ParseError, ValueError, OverflowError, TypeError):
            print("-")
