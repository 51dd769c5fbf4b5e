import type { FindingKind, Outcome } from '../finding/index.ts';
import { fail, note, pass, unknown } from '../finding/index.ts';
import type { UpgradeFacts } from './facts.ts';

/** One line of the gate. */
export interface UpgradeLine extends FindingKind {
  judge(facts: UpgradeFacts): Outcome;
}

/** The oldest Node that the package takes (`engines`). */
const nodeMin = [22, 19] as const;
/** A backup of today is one to go back to. */
const backupAgeMsMax = 24 * 3_600_000;
const hourMs = 3_600_000;

export const upgradeLines: readonly UpgradeLine[] = [
  {
    id: 'upgrade-node',
    title: 'Node is new enough',
    why: 'This release does not start on an older one.',
    next: 'install Node 24',
    severity: 'high',
    judge: ({ node }) => {
      const [major = 0, minor = 0] = node.split('.').map(Number);
      const isEnough = major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1]);
      return isEnough
        ? pass(`Node ${node}.`)
        : fail(`Node ${node} is older than ${nodeMin.join('.')}.`);
    },
  },
  {
    id: 'upgrade-version',
    title: 'This release is not older than the one that runs',
    why: 'An older release may not understand what a newer one wrote.',
    next: 'install the newer release, or restore a backup made by this one',
    severity: 'high',
    judge: ({ version, running }) => {
      if (running === undefined) return note('No Postern runs with this state folder.');
      const order = compare(version, running.version);
      if (order > 0) return pass(`${running.version} runs, ${version} takes over.`);
      if (order === 0) return note(`${version} runs already.`);
      return fail(`${running.version} runs; this is ${version}.`);
    },
  },
  {
    id: 'upgrade-schema',
    title: 'This release can read the state',
    why: 'A state of a newer schema is refused at the start, and then nobody is served.',
    next: 'run the release that wrote it, or one in between',
    severity: 'high',
    judge: ({ schema, schemaProblem, usesPostgres }) => {
      if (schemaProblem !== undefined) return unknown(schemaProblem);
      const shared = usesPostgres
        ? ' Tables in PostgreSQL move with the first gateway that starts; the others go on meanwhile.'
        : '';
      if (schema === undefined) return note(`There is no state yet.${shared}`);
      const { found, known } = schema;
      if (found > known)
        return fail(`The state has schema ${found}; this release knows up to ${known}.`);
      if (found === known) return pass(`Schema ${found}, which this release writes too.${shared}`);
      return pass(
        `The first start moves schema ${found} to ${known}, after a copy of the file was put aside.${shared}`,
      );
    },
  },
  {
    id: 'upgrade-config',
    title: 'This release takes the configuration',
    why: 'A start with a configuration that is refused ends at once.',
    next: 'postern config check',
    severity: 'high',
    judge: ({ configProblems }) => taken('configuration', configProblems),
  },
  {
    id: 'upgrade-policy',
    title: 'This release takes the policy',
    why: 'Without a policy nobody is let in.',
    next: 'postern policy check',
    severity: 'high',
    judge: ({ policyProblems }) => taken('policy', policyProblems),
  },
  {
    id: 'upgrade-backup',
    title: 'There is a backup of today',
    why: 'A schema moves forward only: the way back is a backup from before.',
    next: 'postern backup FILE',
    severity: 'high',
    judge: ({ backup, schema, schemaProblem, usesPostgres }) => {
      const isEmpty = schema === undefined && schemaProblem === undefined && !usesPostgres;
      if (isEmpty) return note('There is nothing to back up yet.');
      if (backup === undefined) return fail('No backup is known of.');
      const hours = Math.floor(backup.ageMs / hourMs);
      const said = `The last one is ${hours < 1 ? 'less than an hour' : `${hours} hours`} old.`;
      return backup.ageMs <= backupAgeMsMax ? pass(said) : fail(said);
    },
  },
  {
    id: 'upgrade-room',
    title: 'There is room for a copy of the state',
    why: 'A schema that moves is copied first; on a full disk the start is refused.',
    next: 'make room where the state folder is',
    severity: 'medium',
    judge: ({ freeBytes, stateBytes }) => {
      if (freeBytes === undefined) return unknown('How much is free could not be read.');
      const said = `${megabytes(freeBytes)} free, the state has ${megabytes(stateBytes)}.`;
      return freeBytes > 2 * stateBytes + 64 * 1024 * 1024 ? pass(said) : fail(said);
    },
  },
  {
    id: 'upgrade-drain',
    title: 'Open answers may end first',
    why: 'A stop in order finishes what is under way; a kill cuts it.',
    next: 'stop with SIGTERM (systemctl restart postern) and wait',
    severity: 'low',
    judge: ({ running }) => {
      if (running === undefined) return note('Nothing is open: no Postern runs.');
      const seconds = Math.round(running.drainMs / 1_000);
      const others =
        running.role === 'alone' ? '' : ' Others go on serving meanwhile; begin with a follower.';
      return pass(
        `${running.openConnections} connections are open; answers under way have ${seconds} s to end.${others}`,
      );
    },
  },
];

function taken(what: string, problems: readonly string[] | undefined): Outcome {
  if (problems === undefined) return note(`There is no ${what} file.`);
  return problems.length === 0
    ? pass(`The ${what} file is right for this release.`)
    : fail(`This release refuses the ${what} file.`, ...problems);
}

/** Semantic versions without their build; a pre-release is before its release. */
function compare(a: string, b: string): number {
  const parts = (version: string): readonly number[] => {
    const [core = '', pre] = version.split('+')[0]?.split('-') ?? [];
    return [...core.split('.').map(Number), pre === undefined ? 1 : 0];
  };
  const [left, right] = [parts(a), parts(b)];
  const at = left.findIndex((part, n) => part !== right[n]);
  return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
