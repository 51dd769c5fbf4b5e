import type { CommandSpec } from '../command.ts';
import { auditCommands } from './audit.ts';
import { deployCommands } from './deploy.ts';
import { importCommands } from './import.ts';
import { joiningCommands } from './joining.ts';
import { meshCommands } from './mesh.ts';
import { moneyCommands } from './money.ts';
import { networkCommands, nodeCommands } from './network.ts';
import { operateCommands } from './operate.ts';
import { policyCommands } from './policy.ts';

const reasonOption = { flags: '--reason <text>', description: 'Why, for the record.' } as const;

const evidenceArgument = {
  name: 'evidence',
  required: false,
  description:
    'A file with a quote, report, document, attestation, certificate or token, as bytes, hex, base64, PEM or JSON; default: standard input.',
} as const;
const nowOption = {
  flags: '--now <time>',
  description: 'Judge as of this time (RFC 3339).',
} as const;
const challengeOption = {
  flags: '--report-data <hex>',
  description: 'What the evidence must answer: up to 64 bytes.',
} as const;
const simulatorOption = {
  flags: '--insecure-simulator-root <hash>',
  description: 'Believe a simulator with this root (SHA-256). For tests: it proves nothing.',
} as const;
const evidenceOptions = [
  {
    flags: '--collateral <file>',
    description: "Intel's collateral; default: what the state folder holds. Nothing is fetched.",
  },
  {
    flags: '--certs <files>',
    description: 'Certificates that the evidence comes without, separated by commas.',
  },
  { flags: '--amd-crl <file>', description: "AMD's revocation list for the product, DER." },
  { flags: '--keys <file>', description: 'JWK set of the issuer of tokens.' },
  { flags: '--issuers <urls>', description: 'Issuers of Azure tokens, separated by commas.' },
  { flags: '--role <role>', description: 'What a certificate is for: server (default) or client.' },
  nowOption,
  simulatorOption,
] as const;

/** Every command, in the order of the help. */
export const commands: readonly CommandSpec[] = [
  {
    path: 'up',
    summary: 'Start the gateway.',
    options: [
      {
        flags: '--port <port>',
        description: 'Port, :PORT or HOST:PORT of the gateway (default 8080 on loopback).',
      },
      {
        flags: '--url <url>',
        description: 'Coordinate a private network; machines find it at this URL.',
      },
      {
        flags: '--join',
        description:
          'Be on that network as ai: through the tailscaled of this machine, or one that Postern starts.',
      },
      {
        flags: '--log <format>',
        description: 'json or plain; default: plain at a terminal, else json.',
      },
      { flags: '--log-level <level>', description: 'error, warn, info or debug (default info).' },
    ],
    examples: [
      'postern up',
      'postern up --port 9000',
      'postern up --url https://vpn.example.com --join',
      'postern up --config /etc/postern/postern.hujson',
    ],
    load: () => import('./up.ts'),
  },
  {
    path: 'init',
    summary: 'Write a first configuration file.',
    options: [
      { flags: '--yes', description: 'Ask nothing; take what was detected.' },
      { flags: '--force', description: 'Replace a file that is there.' },
      {
        flags: '--env <name>',
        description:
          'Write the files of a whole picture instead: dev, staging-home, staging-cloud or production.',
      },
    ],
    examples: [
      'postern init',
      'postern init --yes --config ./postern.hujson',
      'postern init --env production --config ./production/postern.hujson',
    ],
    load: () => import('./init.ts'),
  },
  {
    path: 'status',
    summary: 'Show what the running Postern does: listeners, models, state.',
    examples: ['postern status', 'postern status --json'],
    load: () => import('./status.ts'),
  },
  {
    path: 'mcp',
    summary: 'Give an agent tools: the Model Context Protocol on standard input and output.',
    options: [{ flags: '--read-only', description: 'Only tools that look.' }],
    examples: ['claude mcp add postern -- postern mcp', 'postern mcp --read-only'],
    load: () => import('./mcp.ts'),
  },
  {
    path: 'doctor',
    summary: 'Look for what is wrong on this machine and say how to mend it.',
    options: [
      {
        flags: '--peer-certificate <file>',
        description: 'PEM of a peer of the mesh that is refused: evidence, issuer.',
      },
    ],
    examples: [
      'postern doctor',
      'postern doctor --json',
      'postern doctor --peer-certificate peer.pem',
    ],
    load: () => import('./doctor.ts'),
  },
  {
    path: 'ask',
    summary: 'Ask a model and print its answer as it comes.',
    args: [
      {
        name: 'prompt',
        required: false,
        description: 'The question; without it, standard input is read.',
      },
    ],
    options: [
      { flags: '--model <name>', description: 'Alias or provider/model.' },
      { flags: '--system <text>', description: 'Instructions for the model.' },
    ],
    examples: [
      'postern ask "Why is my build slow?"',
      'git diff | postern ask --system "Review this change."',
    ],
    load: () => import('./ask.ts'),
  },
  {
    path: 'models',
    summary: 'List the models that you may call.',
    examples: ['postern models'],
    load: () => import('./models.ts'),
  },
  {
    path: 'key create',
    summary: 'Make a key; it is shown once.',
    args: [
      {
        name: 'name',
        required: true,
        description: 'A name for people; unique among keys that count.',
      },
    ],
    options: [
      {
        flags: '--models <globs>',
        description: 'Models it may call, separated by commas (default: whatever policy allows).',
      },
      {
        flags: '--expires <when>',
        description: 'A time to live such as 12h or 30d, or an RFC 3339 time.',
      },
      {
        flags: '--bind <selectors>',
        description: 'Network principals that may carry it, separated by commas.',
      },
      {
        flags: '--join <types>',
        description: 'Types of nodes that it may register, separated by commas; "*" is any.',
      },
      {
        flags: '--admin',
        description: 'It may use the admin API, where the configuration allows that.',
      },
    ],
    examples: ['postern key create ci --models "instant,local/**" --expires 30d'],
    load: () => import('./key-create.ts'),
  },
  {
    path: 'key list',
    summary: 'List keys: name, scope, age, state. Never their secrets.',
    options: [{ flags: '--all', description: 'Revoked and expired ones too.' }],
    examples: ['postern key list', 'postern key list --all --json'],
    load: () => import('./key-list.ts'),
  },
  {
    path: 'key revoke',
    summary: 'Revoke a key at once.',
    args: [{ name: 'key', required: true, description: 'Name or id.' }],
    options: [
      reasonOption,
      { flags: '--with-children', description: 'Also every key that it made.' },
    ],
    examples: ['postern key revoke ci --reason "left the team"'],
    load: () => import('./key-revoke.ts'),
  },
  {
    path: 'key rotate',
    summary: 'Replace the secret of a key; the new one is shown once.',
    args: [{ name: 'key', required: true, description: 'Name or id.' }],
    options: [reasonOption],
    examples: ['postern key rotate ci --reason "older than a year"'],
    load: () => import('./key-rotate.ts'),
  },
  {
    path: 'config check',
    summary: 'Check the configuration file without applying it.',
    options: [
      { flags: '--explain', description: 'Print every value that counts and who says so.' },
    ],
    examples: ['postern config check', 'postern config check --explain --config ./postern.hujson'],
    load: () => import('./config-check.ts'),
  },
  {
    path: 'config schema',
    summary: 'Print the JSON Schema of the configuration file.',
    examples: ['postern config schema > postern.schema.json'],
    load: () => import('./config-schema.ts'),
  },
  {
    path: 'config reload',
    summary: 'Make the running Postern read its configuration file again.',
    examples: ['postern config reload'],
    load: () => import('./config-reload.ts'),
  },
  ...moneyCommands,
  ...policyCommands,
  ...auditCommands,
  ...nodeCommands,
  ...networkCommands,
  ...joiningCommands,
  ...deployCommands,
  ...operateCommands,
  ...importCommands,
  {
    path: 'backup',
    summary: 'Copy the state to one file while Postern runs, and verify the copy.',
    args: [{ name: 'file', required: true, description: 'Where to; must not exist.' }],
    examples: ['postern backup /var/backups/postern.db'],
    load: () => import('./backup.ts'),
  },
  {
    path: 'upgrade',
    summary: 'Look whether this release may take over from the one that runs.',
    options: [
      { flags: '--check', description: 'Look, and change nothing.' },
      { flags: '--backup <file>', description: 'Make a backup first; it is the way back.' },
    ],
    examples: ['postern upgrade --check --backup /var/backups/postern-before.db'],
    load: () => import('./upgrade.ts'),
  },
  {
    path: 'restore',
    summary: 'Put a backup into an empty state folder.',
    args: [{ name: 'file', required: true, description: 'The backup.' }],
    options: [{ flags: '--verify-only', description: 'Check the file and restore nothing.' }],
    examples: ['postern restore /var/backups/postern.db --state /var/lib/postern'],
    load: () => import('./restore.ts'),
  },
  ...meshCommands,
  {
    path: 'attest show',
    summary: 'Print what evidence says, without judging it.',
    args: [evidenceArgument],
    options: [...evidenceOptions],
    examples: ['postern attest show quote.bin', 'postern attest show --json < certificate.pem'],
    load: () => import('./attest/show.ts'),
  },
  {
    path: 'attest verify',
    summary: 'Verify evidence: signatures, chain, revocation, patch level, debug.',
    args: [evidenceArgument],
    options: [...evidenceOptions, challengeOption],
    examples: [
      'postern attest verify quote.hex --collateral collateral.json',
      'curl -s --unix-socket /var/run/dstack.sock "http://dstack/GetQuote?report_data=00" | postern attest verify',
    ],
    load: () => import('./attest/verify.ts'),
  },
  {
    path: 'attest appraise',
    summary: 'Verify evidence and judge it by a policy: images, apps, machines.',
    args: [evidenceArgument],
    options: [
      {
        flags: '--policy <file>',
        description: 'Appraisal policy (HuJSON). What it leaves out is refused.',
      },
      ...evidenceOptions,
      challengeOption,
    ],
    examples: ['postern attest appraise peer.pem --policy appraisal.hujson'],
    load: () => import('./attest/appraise.ts'),
  },
  {
    path: 'attest receipt',
    summary: 'Verify the receipt of a request: what served it, signed by a gateway’s log.',
    args: [
      {
        name: 'file',
        required: false,
        description: 'What GET /v1/attestation/ID answered; default: standard input.',
      },
    ],
    options: [
      {
        flags: '--key <key>',
        description: 'Public key of the log, as `postern audit key` shows it; yours, not its own.',
      },
      {
        flags: '--proof <file>',
        description: 'Also that the log has the record: what `postern audit prove INDEX` printed.',
      },
    ],
    examples: ['postern attest receipt receipt.json --key "$KEY" --proof proof.json'],
    load: () => import('./attest/receipt.ts'),
  },
  {
    path: 'attest join',
    summary: 'Get a key of the network for evidence of this machine; its node waits until bound.',
    options: [
      { flags: '--server <url>', description: 'Control listener, such as http://gateway:8000.' },
      { flags: '--name <name>', description: 'For the record; default: the name of this machine.' },
      { flags: '--agent <place>', description: 'Guest agent; default: where dstack has it.' },
    ],
    examples: [
      'tailscale up --login-server URL --auth-key "$(postern attest join --server http://gateway:8000)"',
    ],
    load: () => import('./attest/join.ts'),
  },
  {
    path: 'attest bind',
    summary: 'Let the node of this machine in: evidence over its node key.',
    options: [
      { flags: '--server <url>', description: 'Control listener, such as http://gateway:8000.' },
      {
        flags: '--node-key <key>',
        description: 'nodekey:…, as `tailscale status --json` shows it under Self.',
      },
      { flags: '--agent <place>', description: 'Guest agent; default: where dstack has it.' },
    ],
    examples: [
      'postern attest bind --server http://gateway:8000 --node-key "$(tailscale status --json | jq -r .Self.PublicKey)"',
    ],
    load: () => import('./attest/bind.ts'),
  },
  {
    path: 'attest simulate',
    summary: 'Serve a guest agent without hardware, for tests, until a signal.',
    options: [
      { flags: '--socket <path>', description: 'Where to listen; only you may open it.' },
      { flags: '--seed <hex>', description: 'All keys follow from it: 8 to 64 bytes in hex.' },
      {
        flags: '--out <folder>',
        description: 'Write collateral.json and a policy.hujson that accepts this workload.',
      },
      nowOption,
    ],
    examples: [
      'postern attest simulate --socket ./dstack.sock --seed 0011223344556677 --out ./sim',
    ],
    load: () => import('./attest/simulate.ts'),
  },
  {
    path: 'attest collateral',
    summary: "List, import or refresh what Intel says about its platforms' patch levels.",
    args: [
      { name: 'action', required: true, description: 'list, import or refresh.' },
      {
        name: 'target',
        required: false,
        description:
          'import: the file. refresh: evidence, or a subject such as tdx-b0c06f000000-platform; default: all stored.',
      },
    ],
    options: [
      { flags: '--pccs <url>', description: 'Ask this caching service instead of Intel.' },
      { flags: '--pccs-ca <file>', description: 'PEM of the authority of its TLS certificate.' },
      nowOption,
      simulatorOption,
    ],
    examples: [
      'postern attest collateral refresh quote.bin',
      'postern attest collateral import collateral.json',
      'postern attest collateral list --json',
    ],
    load: () => import('./attest/collateral.ts'),
  },
];
