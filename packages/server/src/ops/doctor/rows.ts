import type { Finding, FindingKind, Outcome } from '../finding/index.ts';
import { fail, findingOf, note, pass, unknown } from '../finding/index.ts';
import type { DoctorFacts } from './facts.ts';

/** One thing that doctor looks at. `about`: the line of troubleshooting that it answers. */
export interface DoctorRow extends FindingKind {
  readonly about: string;
  judge(facts: DoctorFacts): Outcome;
}

const dayMs = 86_400_000;
const certificateDaysMin = 14;
const offsetMsMax = 30_000;
const freePartMin = 0.05;
/** The first release that Postern runs on; 20 ended on 2026-04-30 and odd lines are short. */
const oldestNode = { major: 22, minor: 19 } as const;
const appIdPattern = /^[0-9a-f]{40}$/;

export const doctorRows: readonly DoctorRow[] = [
  {
    id: 'runtime',
    about: 'Versions',
    title: 'Node.js gets security fixes',
    why: 'Holes of a runtime that is past its end stay open.',
    next: 'Install Node.js 24 (or run by npm, which brings it)',
    severity: 'high',
    judge: ({ node }) => {
      const [major = 0, minor = 0] = node.replace(/^v/, '').split('.').map(Number);
      const isNew =
        major > oldestNode.major || (major === oldestNode.major && minor >= oldestNode.minor);
      return isNew && major % 2 === 0
        ? pass(`${node} does.`)
        : fail(`${node} gets no security fixes.`, node);
    },
  },
  {
    id: 'version',
    about: 'Versions',
    title: 'The Postern that runs is the one that is installed',
    why: 'After an update the old one goes on until it is started anew.',
    next: 'systemctl restart postern, or stop it and: postern up',
    severity: 'low',
    judge: ({ running, version }) => {
      if (!running.ok) return unknown('The Postern that runs cannot be asked.', running.error);
      if (running.value === undefined) return note('None runs with this state folder.');
      return running.value === version
        ? pass(`Both are ${version}.`)
        : fail(`${running.value} runs; ${version} is installed.`);
    },
  },
  {
    id: 'state-folder',
    about: 'Start',
    title: 'The state folder is ours alone',
    why: 'It has digests of keys and the signing key of the log.',
    next: 'Name another folder with --state or POSTERN_STATE',
    severity: 'high',
    judge: ({ stateFolder: { path, state, detail } }) => {
      if (state === 'there') return pass(path);
      if (state === 'missing') return note(`${path} is not there yet; the first start makes it.`);
      if (state === 'unreadable') return fail(detail, path);
      return {
        ...fail(`${path} is open to other users (mode ${detail}).`),
        next: `chmod 700 ${path}`,
      };
    },
  },
  {
    id: 'configuration',
    about: 'Start',
    title: 'The configuration is right',
    why: 'A start refuses a file with a mistake, and a reload keeps the old one.',
    next: 'Correct the file; `postern config check` says when it is right',
    severity: 'high',
    judge: ({ configuration }) => {
      if (configuration === undefined) return note('There is none; Postern serves what it finds.');
      return configuration.ok ? pass(configuration.value) : fail(configuration.error);
    },
  },
  {
    id: 'policy',
    about: 'Start',
    title: 'The policy file is right',
    why: 'Without a policy in force nobody may call anything.',
    next: 'Correct the file; `postern policy check` says when it is right',
    severity: 'high',
    judge: ({ policy }) => {
      if (policy.ok) return policy.isMissing === true ? note(policy.value) : pass(policy.value);
      return fail(policy.error);
    },
  },
  {
    id: 'local-operator',
    about: 'Start',
    title: 'Whoever sits here is known',
    why: 'Otherwise programs on this machine need a key.',
    next: 'postern key create NAME',
    severity: 'low',
    judge: ({ operator }) =>
      operator === undefined
        ? pass('You are known on this machine without a key; the policy says what you may call.')
        : { ...note(operator), next: 'Callers here need a key: postern key create NAME' },
  },
  {
    id: 'providers',
    about: 'Upstreams',
    title: 'Every model server answers',
    why: 'Requests for its models fail, or go to the next one of their alias.',
    next: 'Check its address and credential: postern status, then `providers` in the configuration',
    severity: 'high',
    judge: judgeProviders,
  },
  {
    id: 'certificates',
    about: 'Certificates',
    title: `Certificates live for at least ${certificateDaysMin} days more`,
    why: 'An expired certificate stops every caller at once.',
    next: 'Renew it: the files are read again when they change',
    severity: 'medium',
    judge: judgeCertificates,
  },
  {
    id: 'clock',
    about: 'Clocks',
    title: 'The clock is right',
    why: 'Tokens, keys and certificates begin and end by it: half a minute off is a refusal.',
    next: 'timedatectl set-ntp true',
    severity: 'medium',
    judge: judgeClock,
  },
  {
    id: 'disk',
    about: 'Disk',
    title: `At least ${freePartMin * 100} % of the disk of the state are free`,
    why: 'A full disk stops the log, and with it every caller.',
    next: 'Make room, or move the state folder to a larger disk',
    severity: 'high',
    judge: ({ space }) => {
      if (!space.ok) return unknown('The disk cannot be looked at.', space.error);
      const { freeBytes, totalBytes } = space.value;
      const percent = `${Math.floor((freeBytes / Math.max(1, totalBytes)) * 100)} % free`;
      return freeBytes < totalBytes * freePartMin
        ? fail('It is almost full.', percent)
        : pass(percent);
    },
  },
  {
    id: 'auth-key',
    about: 'Auth key rejected',
    title: 'The pre-auth key was taken',
    why: 'A key that is used up, expired, or without its tags lets no machine in.',
    next: 'postern network key create --tags tag:node --ephemeral, and put it where the old one was',
    severity: 'high',
    judge: judgeAuthKey,
  },
  {
    id: 'container-health',
    about: 'Health 503 in the container',
    title: 'The container of tailscaled is healthy',
    why: 'Whoever restarts unhealthy containers restarts this one for ever.',
    next: 'Set TS_ENABLE_HEALTH_CHECK=true and TS_LOCAL_ADDR_PORT=[::]:9002 (Tailscale 1.78 or later)',
    severity: 'medium',
    judge: judgeHealth,
  },
  {
    id: 'agent-socket',
    about: 'Certificates not generating',
    title: 'The socket of the guest agent can be opened',
    why: 'Without it the mesh gets no certificate, and proves nothing.',
    next: 'Mount the socket of the agent (/var/run/dstack.sock, /run/dstack/dstack.sock), and give this user the right to it',
    severity: 'high',
    judge: ({ agentSocket }) => {
      if (agentSocket === undefined) return pass('No identity comes from an agent.');
      const { path, state } = agentSocket;
      if (state === 'there') return pass(path);
      if (state === 'missing') return fail(`${path} is not there.`);
      return fail(
        state === 'denied' ? `${path} may not be opened by this user.` : `${path} is no socket.`,
      );
    },
  },
  {
    id: 'ra-tls',
    about: 'mTLS verification fails: RA-TLS extensions',
    title: 'The certificate has evidence of what its machine runs',
    why: 'A certificate without the extension proves a key, and nothing about the code.',
    next: 'Get it from the guest agent (mesh.identity.agent) and no other authority; postern attest show FILE',
    severity: 'high',
    judge: ({ peer }) => {
      if (peer === undefined) return note('No certificate was given: --peer-certificate FILE.');
      if (!peer.ok) return unknown('The certificate cannot be read.', peer.error);
      const { file, hasEvidence } = peer.value;
      return hasEvidence ? pass(file) : fail(`${file} has no RA-TLS extension.`);
    },
  },
  {
    id: 'ca-match',
    about: 'mTLS verification fails: CA certificate',
    title: 'The certificate was issued by an authority that counts here',
    why: 'Two machines whose roots differ refuse each other, whatever they prove.',
    next: 'Give both the same `mesh.trust.kmsRootsFile` (or bundle), and start the peer anew',
    severity: 'high',
    judge: ({ peer }) => {
      if (peer === undefined) return note('No certificate was given: --peer-certificate FILE.');
      if (!peer.ok) return unknown('The certificate cannot be read.', peer.error);
      const { isKnownIssuer, issuer } = peer.value;
      if (isKnownIssuer === undefined)
        return note('No roots are configured: evidence alone counts.');
      return isKnownIssuer
        ? pass(`Issued by ${issuer}.`)
        : fail(`Its issuer ${issuer} is none of the roots that count here.`);
    },
  },
  {
    id: 'app-id',
    about: 'mTLS verification fails: app_id format',
    title: 'App ids have 40 hexadecimal digits',
    why: 'An id of another form names nobody, so that its owner is refused.',
    next: 'Write the app id as the platform shows it: 40 digits 0-9a-f, no 0x',
    severity: 'high',
    judge: ({ appIds }) => {
      const bad = appIds.filter(({ text }) => !appIdPattern.test(text));
      return bad.length > 0
        ? fail(
            'Texts that are no app ids stand where one should.',
            ...bad.map(({ at, text }) => `${at}: ${text.slice(0, 64)}`),
          )
        : pass(`${appIds.length} app ids, all well-formed.`);
    },
  },
];

function judgeProviders({ providers, providerProblems }: DoctorFacts): Outcome {
  const silent = providers.filter(({ models }) => !models.ok);
  const words = providers.map(({ id, place, models }) =>
    models.ok ? `${id}: ${models.value} models at ${place}` : `${id} at ${place}: ${models.error}`,
  );
  if (providerProblems.length > 0)
    return fail(providerProblems[0] ?? '', ...providerProblems, ...words);
  if (silent.length > 0)
    return fail(`No answer of ${silent.map(({ id }) => id).join(', ')}.`, ...words);
  return pass(`${providers.length} answer.`, ...words);
}

function judgeCertificates({ certificates, nowMs }: DoctorFacts): Outcome {
  if (certificates.length === 0) return pass('No listener shows one.');
  const lost = certificates.flatMap(({ file, expiresAtMs }) =>
    expiresAtMs.ok ? [] : [`${file}: ${expiresAtMs.error}`],
  );
  if (lost.length > 0) return fail('A certificate cannot be read.', ...lost);
  const soon = certificates.flatMap(({ file, expiresAtMs }) =>
    expiresAtMs.ok && expiresAtMs.value - nowMs < certificateDaysMin * dayMs
      ? [`${file}: ends ${new Date(expiresAtMs.value).toISOString()}`]
      : [],
  );
  return soon.length > 0
    ? fail('A certificate is about to end, or has ended.', ...soon)
    : pass(`${certificates.length} certificates.`);
}

function judgeClock({ clockOffsetMs, clockIsSet }: DoctorFacts): Outcome {
  if (clockOffsetMs.ok && Math.abs(clockOffsetMs.value) > offsetMsMax) {
    const seconds = Math.round(clockOffsetMs.value / 1_000);
    return fail(`It is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead' : 'behind'}.`);
  }
  if (clockIsSet.ok && !clockIsSet.value) return fail('Nothing keeps the clock of this machine.');
  if (clockOffsetMs.ok || clockIsSet.ok) return pass('It is.');
  return note(
    'Neither a server nor this machine says whether it is.',
    clockOffsetMs.error,
    clockIsSet.error,
  );
}

function judgeAuthKey({ authKey }: DoctorFacts): Outcome {
  if (authKey === undefined) return pass('The environment has none.');
  const { variable, shape, daemonState, complaint, tags } = authKey;
  if (shape === 'unknown')
    return fail(`${variable} is no pre-auth key: those begin with tskey-auth- or hskey-auth-.`);
  if (complaint !== undefined) return fail(`The network refused it: ${complaint}`, variable);
  if (daemonState === 'NeedsLogin')
    return fail(
      'The tailscaled that got it is not logged in.',
      `tags asked for: ${tags.length === 0 ? 'none' : tags.join(', ')}`,
    );
  return daemonState === undefined
    ? note(`${variable} is there; no tailscaled got it yet.`)
    : pass(`tailscaled is ${daemonState}.`);
}

function judgeHealth({ containerHealth }: DoctorFacts): Outcome {
  if (containerHealth === undefined) return pass('This is no container of Tailscale’s.');
  const { url, status, isEnabled } = containerHealth;
  if (status === undefined)
    return isEnabled
      ? fail(`Its health check is on, and does not answer at ${url}.`)
      : fail('Its health check is off.', url);
  if (status === 200) return pass(url);
  return {
    ...fail(`${url} answers ${status}: tailscaled has no address of the network yet.`),
    next: 'Look at its log, and at the finding about the pre-auth key: postern doctor network',
  };
}

export function judgeDoctor(facts: DoctorFacts): readonly Finding[] {
  return doctorRows.map((row) => findingOf(row, row.judge(facts)));
}
