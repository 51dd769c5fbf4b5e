import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { EngineSettings } from '@postern/core/contract';
import type { OutsideOptions } from './engines.ts';

/** Whether an engine could be used as it is configured, in words; asks it where others run it. */
export async function lookAtEngine(
  settings: EngineSettings,
  around: Pick<OutsideOptions, 'env' | 'egress'>,
): Promise<Result<string, string>> {
  if ((settings.kind ?? 'embedded') === 'embedded') {
    const { planNetwork } = await import('./plan.ts');
    const planned = planNetwork(settings, { env: around.env });
    if (!planned.ok) return planned;
    return planned.value === undefined
      ? err('The embedded engine needs an address: --url https://vpn.example.com')
      : ok(`The embedded engine will be at ${planned.value.plan.url.origin}.`);
  }
  const { outsideEngine } = await import('./engines.ts');
  const made = await outsideEngine(settings, { ...around, nowMs: () => Date.now() });
  if (!made.ok) return made;
  const engine = made.value;
  if (engine === undefined) return err('No engine is configured.');
  const looked = await engine.look();
  if (!looked.ok) return err(looked.error.message);
  const { version, api } = looked.value;
  const named = version === '' ? engine.kind : `${engine.kind} ${version}`;
  return ok(`${named} answers at ${engine.url} (API ${api}).`);
}
