#!/bin/sh
# Installs the packages that package-lock.json names. npm leaves out those whose makers want a newer Node.js than the one it
# runs on, without a word, so with an old one it runs on the Node.js that package.json names.

set -eu
cd "$(dirname "$0")"
node=$(sed -n 's/^    "node": "\(.*\)",$/\1/p' package.json)
if node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'; then
  exec npm ci --no-audit --no-fund
fi
exec npx --yes --package "node@$node" --package npm@11 -- npm ci --no-audit --no-fund
