/** Findings about capability objects: what `postern policy check` adds to the rules of the network. */
import { type Finding, Findings } from '../file/finding.ts';
import { findingsMax } from '../file/limits.ts';
import type { PolicyFile } from '../file/model.ts';
import { entriesOfFile } from './entry.ts';

/** An object that grants nothing is an error; a field that only Tailscale's gateway knows is a warning. */
export function capabilityFindings(file: PolicyFile): readonly Finding[] {
  const findings = new Findings(findingsMax);
  const { entries, problems } = entriesOfFile(file);
  for (const { at, capability, problems: texts } of problems) {
    const why = texts.join('; ');
    findings.error('bad_capability', at, `${capability}: ${why}; the object grants nothing`);
  }
  for (const entry of entries) {
    if (entry.kind !== 'aperture' || entry.object.ignored.length === 0) continue;
    const fields = entry.object.ignored.join(', ');
    findings.warning(
      'bad_capability',
      entry.at,
      `${fields} has no counterpart here and is ignored`,
    );
  }
  return findings.list;
}
