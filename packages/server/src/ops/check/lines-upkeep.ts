import { fail, pass, unknown } from '../finding/index.ts';
import type { CheckFacts } from './facts.ts';
import type { CheckLine } from './line.ts';
import { days, dayMs, known } from './line.ts';
import { secretsIn } from './secret-shapes.ts';

const drillDaysMax = 90;
const keyDaysMax = 90;
const collateralDaysMax = 30;
const freePartMin = 0.1;
const oldestNodeMajor = 22;

/** Lines about what has to be done again and again, and about the process itself. */
export const upkeepLines: readonly CheckLine[] = [
  {
    id: 'incident-drilled',
    list: 'network',
    title: `The steps of an incident were drilled in the last ${drillDaysMax} days`,
    why: 'A plan that nobody has tried fails when it is needed.',
    next: 'postern incident drill',
    severity: 'medium',
    judge: judgeDrill,
  },
  {
    id: 'secrets-elsewhere',
    list: 'hygiene',
    title: 'No secret stands in the configuration',
    why: 'Files of configuration are copied, mailed and committed.',
    next: 'Write {"env": …}, {"file": …} or {"credential": …} in its place, and make a new secret: this one is known',
    severity: 'high',
    judge: ({ configText }) => {
      const found = secretsIn(configText ?? '');
      return found.length > 0
        ? fail('The configuration has what looks like secrets.', ...found)
        : pass('Nothing in the configuration looks like a secret.');
    },
  },
  {
    id: 'file-modes',
    list: 'own',
    title: 'Only the user that runs Postern reads its state',
    why: 'The state has digests of keys, the signing key of the log, and what conversations were kept.',
    next: 'chmod -R go= STATE',
    severity: 'high',
    judge: ({ files }) =>
      known(files, (list) => {
        const open = list.filter(({ mode }) => (mode & 0o077) !== 0);
        const words = open.map(({ file, mode }) => `${file}: ${(mode & 0o777).toString(8)}`);
        return open.length > 0
          ? fail('Others can read or write files of the state.', ...words)
          : pass(`${list.length} files and folders, all closed to others.`);
      }),
  },
  {
    id: 'key-ages',
    list: 'own',
    title: `Keys end, or are younger than ${keyDaysMax} days`,
    why: 'A key that lives for ever is found one day in a log, a backup or a laptop.',
    next: 'postern key rotate NAME',
    severity: 'medium',
    judge: judgeKeyAges,
  },
  {
    id: 'caller-limits',
    list: 'hygiene',
    title: 'Callers have limits or budgets',
    why: 'One loop in one program spends a month’s money in a night.',
    next: 'Add `budgets` or `limits.named` to the configuration: docs/howto/budgets.md',
    severity: 'medium',
    judge: ({ config, configText }) => {
      if (configText === undefined) return pass('Zero-config has a budget of its own.');
      const budgets = Object.keys(config.budgets);
      const limits = Object.keys(config.limits.named);
      return budgets.length + limits.length > 0
        ? pass(`${budgets.length} budgets, ${limits.length} limits.`, ...budgets, ...limits)
        : fail('There is neither a budget nor a limit.');
    },
  },
  {
    id: 'fails-closed',
    list: 'own',
    title: 'What cannot be counted or recorded is refused',
    why: 'With `serve`, whoever fills a disk or cuts a database switches off budgets and records.',
    next: 'Leave `audit.whenUnavailable` and `limits.whenStoreDown` at "refuse"',
    severity: 'medium',
    judge: ({ config }) => {
      const open = [
        ...(config.audit.whenUnavailable === 'serve' ? ['audit.whenUnavailable: serve'] : []),
        ...(config.limits.whenStoreDown === 'serve' ? ['limits.whenStoreDown: serve'] : []),
      ];
      return open.length > 0
        ? fail('Requests are served that nobody counts or records.', ...open)
        : pass('Both refuse.');
    },
  },
  {
    id: 'no-simulator',
    list: 'own',
    title: 'No simulator of attestation is believed',
    why: 'Evidence of a simulator proves nothing: whoever has its seed is any machine.',
    next: 'Take `mesh.trust.insecureSimulatorRoot` out of the configuration',
    severity: 'high',
    judge: ({ config }) =>
      config.mesh?.trust.insecureSimulatorRoot === undefined
        ? pass('None is.')
        : fail('A simulator root is believed.', 'mesh.trust.insecureSimulatorRoot'),
  },
  {
    id: 'collateral-current',
    list: 'own',
    title: `What vendors say about patch levels is younger than ${collateralDaysMax} days`,
    why: 'Old collateral believes machines whose holes are known since.',
    next: 'postern attest collateral refresh',
    severity: 'medium',
    judge: ({ collateralAtMs, nowMs }) => {
      if (collateralAtMs.length === 0)
        return pass('No collateral is kept: no such evidence is judged here.');
      const words = collateralAtMs.map(
        ({ vendor, atMs }) => `${vendor}: ${days(nowMs - atMs)} old`,
      );
      return collateralAtMs.some(({ atMs }) => nowMs - atMs > collateralDaysMax * dayMs)
        ? fail('Collateral is old.', ...words)
        : pass('Collateral is current.', ...words);
    },
  },
  {
    id: 'backup-age',
    list: 'own',
    title: 'There is a backup as young as the alerts ask for',
    why: 'What is not in a backup is gone with the disk, or with whoever tampered.',
    next: 'postern backup /var/backups/postern-$(date +%F).db',
    severity: 'medium',
    judge: judgeBackup,
  },
  {
    id: 'audit-witness',
    list: 'own',
    title: 'Checkpoints of the log are kept somewhere else',
    why: 'Whoever owns the machine can rewrite the whole log; a checkpoint elsewhere shows it.',
    next: 'Add `audit.witness` with a file on another disk or machine: docs/howto/audit.md',
    severity: 'low',
    judge: ({ config }) =>
      config.audit.witness.length > 0
        ? pass('Checkpoints are witnessed.', ...config.audit.witness)
        : fail('Nobody else has the checkpoints.'),
  },
  {
    id: 'records-whole',
    list: 'own',
    title: 'Journal and log are whole',
    why: 'A record that was changed or taken out hides what somebody did.',
    next: 'postern audit verify --against CHECKPOINT, then docs/howto/incident-gateway-compromised.md',
    severity: 'high',
    judge: ({ records }) =>
      known(records, (flaw) =>
        flaw === undefined ? pass('Every hash was recomputed, and every one holds.') : fail(flaw),
      ),
  },
  {
    id: 'store-links',
    list: 'own',
    title: 'Links to PostgreSQL and Valkey are protected',
    why: 'State and money cross that link.',
    next: 'Add ?sslmode=verify-full to the PostgreSQL URL, and use rediss:// for Valkey',
    severity: 'high',
    judge: ({ stores }) =>
      known(stores, (links) => {
        const bare = links.filter(({ isProtected }) => !isProtected);
        return bare.length > 0
          ? fail('A link is in the clear.', ...bare.map(({ name }) => name))
          : pass(`${links.length} links to stores, none of them in the clear.`);
      }),
  },
  {
    id: 'alerts-sent',
    list: 'own',
    title: 'Somebody is told when something ends, fills up or breaks',
    why: 'Nobody looks at a gateway that works.',
    next: 'Add `alerts.webhooks` to the configuration: docs/howto/monitoring.md',
    severity: 'low',
    judge: ({ config, configText }) => {
      const { webhooks } = config.alerts;
      if (configText === undefined) return pass('Zero-config is for one person, who looks.');
      return webhooks.length > 0 ? pass(`${webhooks.length} webhooks.`) : fail('Nobody is told.');
    },
  },
  {
    id: 'runtime-supported',
    list: 'own',
    title: 'The runtime gets security fixes',
    why: 'Holes of a runtime that is past its end stay open.',
    next: 'Install Node.js 24, or run by npm, which brings it',
    severity: 'high',
    judge: ({ node }) => {
      const major = Number(/^v(\d+)\./.exec(node)?.[1]);
      if (!Number.isInteger(major))
        return unknown('The release of the runtime cannot be read.', node);
      return major >= oldestNodeMajor && major % 2 === 0
        ? pass('It does.', node)
        : fail('It does not.', node);
    },
  },
  {
    id: 'not-root',
    list: 'own',
    title: 'Postern does not run as root',
    why: 'A hole in a process of root is a hole in everything on the machine.',
    next: 'postern deploy systemd writes a unit with a user of its own',
    severity: 'medium',
    judge: ({ uid }) =>
      uid === 0
        ? fail('It runs as root.', 'uid 0')
        : pass('It does not.', `uid ${uid ?? 'unknown'}`),
  },
  {
    id: 'clock-set',
    list: 'own',
    title: 'The clock is kept by the network',
    why: 'Tokens, keys and certificates begin and end by it.',
    next: 'timedatectl set-ntp true',
    severity: 'low',
    judge: ({ clockIsSet }) =>
      known(clockIsSet, (isSet) =>
        isSet ? pass('It is.') : fail('Nothing keeps the clock of this machine.'),
      ),
  },
  {
    id: 'disk-space',
    list: 'own',
    title: `At least ${freePartMin * 100} % of the disk of the state are free`,
    why: 'A full disk stops the log, and with it every caller.',
    next: 'Make room, or move the state folder to a larger disk',
    severity: 'medium',
    judge: ({ space }) =>
      known(space, ({ freeBytes, totalBytes }) => {
        const percent = Math.floor((freeBytes / Math.max(1, totalBytes)) * 100);
        return freeBytes < totalBytes * freePartMin
          ? fail('The disk is almost full.', `${percent} % free`)
          : pass('There is room.', `${percent} % free`);
      }),
  },
];

function judgeDrill({ snapshot, nowMs }: CheckFacts): ReturnType<CheckLine['judge']> {
  const drills = snapshot.containment.notes.filter(
    ({ isDrill, step }) => isDrill && step === 'drill',
  );
  const last = drills.at(-1);
  if (last === undefined) return fail('No drill is on record.');
  const age = days(nowMs - last.atMs);
  const evidence = `${last.id}, ${age} ago, ${last.verdict}`;
  if (nowMs - last.atMs > drillDaysMax * dayMs)
    return fail('The last drill is long ago.', evidence);
  return last.verdict === 'proven'
    ? pass('Every step was carried out and proved itself.', evidence)
    : fail('A step of the last drill could not be proved.', evidence);
}

function judgeKeyAges({ snapshot, nowMs }: CheckFacts): ReturnType<CheckLine['judge']> {
  const live = [...snapshot.keysById.values()].filter(
    ({ revokedAtMs, expiresAtMs }) =>
      revokedAtMs === undefined && (expiresAtMs === undefined || expiresAtMs > nowMs),
  );
  const old = live
    .filter(
      ({ createdAtMs, expiresAtMs }) =>
        expiresAtMs === undefined && nowMs - createdAtMs > keyDaysMax * dayMs,
    )
    .map(({ name, createdAtMs }) => `${name}: ${days(nowMs - createdAtMs)} old, does not end`);
  return old.length > 0
    ? fail('Old keys never end.', ...old)
    : pass(`${live.length} keys, none of them old and without an end.`);
}

function judgeBackup(facts: CheckFacts): ReturnType<CheckLine['judge']> {
  const { backupAtMs, nowMs, config, startedAtMs } = facts;
  const hours = config.alerts.backupHours;
  const limitMs = hours * 3_600_000;
  if (backupAtMs === undefined) {
    return nowMs - startedAtMs < limitMs
      ? pass('It runs for less than that, and has no backup yet.')
      : fail('There is no backup.');
  }
  const age = `${Math.floor((nowMs - backupAtMs) / 3_600_000)} hours old`;
  return nowMs - backupAtMs > limitMs
    ? fail(`The last backup is older than ${hours} hours.`, age)
    : pass('It is there.', age);
}
