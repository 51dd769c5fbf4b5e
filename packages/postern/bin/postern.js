#!/usr/bin/env node
// Plain JavaScript on purpose: on a Node that is too old it must still say so in one sentence.
const need = [22, 19];
const have = process.versions.node.split('.').map(Number);
if (have[0] < need[0] || (have[0] === need[0] && have[1] < need[1])) {
  process.stderr.write(
    'postern needs Node.js ' +
      need.join('.') +
      ' or newer (24 recommended); this is ' +
      process.versions.node +
      '. Install a newer Node.js and try again.\n',
  );
  process.exit(1);
} else {
  void import('../src/main.ts');
}
