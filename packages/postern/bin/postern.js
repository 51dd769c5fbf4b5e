#!/usr/bin/env node
// Plain JavaScript on purpose: on a Node that is too old it must still say so in one sentence.
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';

// Loading code makes garbage that a large nursery would only keep: with it held small until `up` is ready, the idle
// process is 6 MB smaller. `up` lets it grow again before it serves.
setFlagsFromString('--semi-space-growth-factor=1');
// What mostly lived on while the first requests were compiled, V8 would allocate among the old from then on. Requests are
// over in a millisecond: in every second process or so, dead ones among the old then kept megabytes of young ones alive,
// and everything was traced three times a second.
setFlagsFromString('--no-allocation-site-pretenuring');
// A whole collection begins once there is less room among the old than a nursery takes. V8 leaves it as little as a tenth
// of what lives: under load there was one every half second, for 3 MB. As much as lives is enough for a minute or more.
setFlagsFromString('--heap-growing-percent=100');

const need = [22, 19];
const have = process.versions.node.split('.').map(Number);
if (have[0] < need[0] || (have[0] === need[0] && have[1] < need[1])) {
  process.stderr.write(
    `postern needs Node.js ${need.join('.')} or newer (24 recommended); this is ${process.versions.node}. Install a newer Node.js and try again.\n`,
  );
  process.exit(1);
}

// In the workspace the bundle is made when the sources changed; the published package brings it.
const build = new URL('../../../tools/build.js', import.meta.url);
const made = existsSync(build) ? await (await import(build.href)).bundleOfSources() : undefined;
const brought = new URL('../dist/main.js', import.meta.url);
if (made !== undefined) await import(pathToFileURL(made).href);
else
  await import(
    existsSync(brought) ? brought.href : new URL('../src/main.ts', import.meta.url).href
  );
