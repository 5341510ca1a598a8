/** What runs in the page: a call by the official client, whose messages are those of the generated code. */

import { fromBinary, fromJsonString, toBinary, toJson } from "@bufbuild/protobuf";
import { GrpcWebClientBase, MethodDescriptor, MethodType, type RpcError } from "grpc-web";
import {
  type UpsertProfileRequest,
  UpsertProfileRequestSchema,
  type UpsertProfileResponse,
  UpsertProfileResponseSchema,
} from "../client/src/generated/chat/v1/user_pb.ts";

const method = new MethodDescriptor<UpsertProfileRequest, UpsertProfileResponse>(
  "/chat.v1.UserService/UpsertProfile",
  MethodType.UNARY,
  Object as never,
  Object as never,
  (request: UpsertProfileRequest) => toBinary(UpsertProfileRequestSchema, request),
  (bytes: Uint8Array) => fromBinary(UpsertProfileResponseSchema, bytes),
);

async function call(url: string, token: string, wish: object): Promise<unknown> {
  const client = new GrpcWebClientBase({ format: "text" });
  const request = fromJsonString(UpsertProfileRequestSchema, JSON.stringify(wish));
  const headers = { authorization: `Bearer ${token}` };
  return new Promise((resolve) => {
    const answered = (error: RpcError | null, answer: UpsertProfileResponse) =>
      resolve(error ? { code: error.code, message: error.message } : toJson(UpsertProfileResponseSchema, answer));
    client.rpcCall(`${url}/chat.v1.UserService/UpsertProfile`, request, headers, method, answered);
  });
}

Object.assign(globalThis, { call });
