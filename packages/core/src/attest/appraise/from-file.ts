import type { AppraisalFile } from '../../contract/appraisal/index.ts';
import type { AppraisalPolicy } from './policy.ts';

/** The policy that a file states. `generation` grows with every change of the file. */
export function appraisalPolicyOf(file: AppraisalFile, generation: number): AppraisalPolicy {
  const firmwareMin: Record<string, number> = {};
  for (const [component, least] of Object.entries(file.firmwareMin)) {
    if (least !== undefined) firmwareMin[component] = least;
  }
  return {
    generation,
    platform: {
      platforms: file.platforms,
      tcb: file.tcb.map(({ status, advisories, until }) => ({
        status,
        advisories,
        untilMs: Date.parse(until),
      })),
      evaluationNumberMin: file.evaluationNumberMin,
      firmwareMin,
      waived: file.waived,
      evidenceAgeMsMax: file.evidenceAgeMsMax,
      clockSkewMsMax: file.clockSkewMsMax,
      verdictAgeMsMax: file.verdictAgeMsMax,
    },
    images: file.images.map(({ appId, ...image }) =>
      appId === undefined ? image : { ...image, appId },
    ),
    apps: file.apps.map(({ instanceIds, ...app }) =>
      instanceIds === undefined ? app : { ...app, instanceIds },
    ),
    devices: file.devices,
    keyProviders: file.keyProviders,
  };
}
