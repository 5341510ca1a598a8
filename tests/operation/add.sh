#!/usr/bin/env bash
# Adds operations to a copy of this checkout, as "Adding an operation" in CONTRIBUTING.md says it, and holds that what is
# written compiles, with its tests, without a warning. `cargo chat` must be built.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target="${CARGO_TARGET_DIR:-$PWD/target}"
copy="$target/operation"
rm -rf "$copy"
mkdir -p "$copy/target/debug/deps"
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --target-directory "$copy"

# What is compiled of others' code is taken over, by links; cargo takes a workspace's own crates for the same ones wherever
# they are, so those are left out, and compiled in the copy.
find "$target/debug/deps" -name 'lib*' ! -name 'libchat_*' -print0 | xargs -0 cp --link --target-directory "$copy/target/debug/deps"
for folder in build .fingerprint; do
  cp --archive "$target/debug/$folder" "$copy/target/debug/"
  rm -rf "$copy/target/debug/$folder"/chat-*
done
chat="$target/debug/chat-local"
cd "$copy"
export CARGO_TARGET_DIR="$copy/target" CARGO_INCREMENTAL=0

# One that writes in a conversation, with a field of every kind, and one that reads and is asked nothing.
python3 - <<'CONTRACT'
import pathlib

path = pathlib.Path("proto/chat/v1/message.proto")
service, rest = path.read_text().split("\n}\n", 1)
rpcs = """
  // Pins a message.
  //
  // INVALID_ARGUMENT: a field breaks its limits.
  rpc PinMessage(PinMessageRequest) returns (PinMessageResponse) {
    option (google.api.http) = {
      post: "/v1/conversations/{conversation_id}/pins"
      body: "*"
    };
  }

  // Counts the caller's pins.
  rpc CountPins(CountPinsRequest) returns (CountPinsResponse) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {get: "/v1/pin-count"};
  }
}
"""
messages = """
// Pins a message.
message PinMessageRequest {
  // Where.
  string conversation_id = 1;
  // What.
  string message_id = 2;
  // For how long, in seconds.
  int64 duration_seconds = 3;
  // A note.
  optional string note = 4;
  // Whom to tell.
  repeated string user_ids = 5;
  // Until when.
  google.protobuf.Timestamp pinned_until = 6;
  // Where it is shown.
  oneof shown {
    // On top.
    bool top = 7;
    // Below this seq.
    int64 below_seq = 8;
  }
}

// It is pinned.
message PinMessageResponse {}

// Counts pins.
message CountPinsRequest {}

// How many there are.
message CountPinsResponse {
  // Their number.
  int64 pin_count = 1;
}
"""
path.write_text(service + "\n" + rpcs + rest + messages)
CONTRACT

# It fails once, to say what it wrote.
if cargo test --locked --quiet --workspace --test contract; then
  printf 'the contract test did not notice two new RPCs\n' >&2
  exit 1
fi
cargo test --locked --quiet --workspace --test contract
for rpc in PinMessage CountPins; do
  CARGO_MANIFEST_DIR="$copy/local" "$chat" new-operation "$rpc"
done
cargo fmt --all --check
# What depends on the contract is compiled anew, so no more than the libraries and their tests.
cargo clippy --locked --workspace --lib --profile test -- -D warnings
