/**
 * The protocol of Tailscale clients: Noise handshakes and records, key texts, STUN, DERP, disco, maps. A file is
 * recognised by its content, whatever its name.
 */
import { readFile } from 'node:fs/promises';
import { derpCases } from './ts2021/derp.ts';
import { discoCases } from './ts2021/disco.ts';
import { keyCases } from './ts2021/keys.ts';
import { mapCases } from './ts2021/maps.ts';
import { noiseCases } from './ts2021/noise.ts';
import { stunCases } from './ts2021/stun.ts';
import type { CaseResult, Suite } from './suite.ts';
import type { Json } from './ts2021/material.ts';
import { isObject } from './ts2021/material.ts';

type Judge = (content: Json) => Iterable<CaseResult>;

/** Every judge that knows something of a file's content takes its part of it. */
const judges: readonly Judge[] = [noiseCases, keyCases, derpCases, stunCases, discoCases, mapCases];

export const suite: Suite = async function* suite(files) {
  for (const file of files) {
    const content: Json = JSON.parse(await readFile(file, 'utf8'));
    let found = 0;
    for (const judge of judges) {
      for (const verdict of judge(content)) {
        found += 1;
        yield verdict;
      }
    }
    if (found === 0) {
      const seen = isObject(content) ? Object.keys(content).slice(0, 5).join(', ') : 'a list';
      yield { id: file, pass: false, why: `nothing in it is known here (${seen})` };
    }
  }
};
