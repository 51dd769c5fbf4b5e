import type { EngineSettings } from '@postern/core/contract';

/** The URL of the embedded engine, where it is the one that coordinates. */
export function embeddedUrl(engine: EngineSettings | undefined): string | undefined {
  return (engine?.kind ?? 'embedded') === 'embedded' ? engine?.url : undefined;
}
