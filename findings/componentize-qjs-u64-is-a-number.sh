#!/usr/bin/env bash
# componentize-qjs 0.4.5 (npm), a component in JavaScript that is given 64-bit integers:
#
# 1. They come as Numbers, not as BigInts, as the other makers of components in JavaScript hand them over (`typeof x` is "number").
# 2. So 2^53 + 1 comes as 2^53, without a word, as an unsigned and as a signed one: an id, a hash or a seed is another one inside.
# 3. The largest unsigned one, 2^64 - 1, comes as -1: a comparison with 0 goes the other way.
#
# Seen from Node by jco 1.35.0's transpiled bindings, which pass BigInts. This script fails when any of that changes. It runs none of
# slhf-lab. It needs Node 20 or later and npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund componentize-qjs@0.4.5 @bytecodealliance/jco@1.35.0
cat > world.wit <<'WIT'
package example:numbers;
world numbers {
  export unsigned: func(x: u64) -> string;
  export signed: func(x: s64) -> string;
}
WIT
cat > numbers.js <<'JS'
export function unsigned(x) { return `${typeof x} ${x}`; }
export function signed(x) { return `${typeof x} ${x}`; }
JS
node_modules/.bin/componentize-qjs --wit world.wit --world numbers --js numbers.js --stub-wasi --sync --output numbers.wasm > log 2>&1
node_modules/.bin/jco transpile numbers.wasm -o out --quiet >> log 2>&1
cat > look.mjs <<'JS'
import { signed, unsigned } from "./out/numbers.js";

const expected = [
  [unsigned, 3n, "number 3"],
  [unsigned, 2n ** 53n + 1n, "number 9007199254740992"],
  [signed, 2n ** 53n + 1n, "number 9007199254740992"],
  [signed, -1n, "number -1"],
  [unsigned, 2n ** 64n - 1n, "number -1"],
];
let changed = false;
for (const [seen, given, before] of expected) {
  const found = seen(given);
  console.log(`${seen.name} ${given}: ${found}`);
  changed ||= found !== before;
}
process.exit(changed ? 1 : 0);
JS
# Node 20 knows extended constant expressions behind a flag, later ones without.
if node --experimental-wasm-extended-const -e 0 2> log; then
  node --experimental-wasm-extended-const look.mjs
else
  node look.mjs
fi
