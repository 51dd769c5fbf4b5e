import { readFile } from 'node:fs/promises';
import type { Egress } from '../../http/index.ts';

/** The machine as an EC2 instance: whether it is one, and what its metadata service says. */

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the service is on every instance. */
const fixedEndpoint = 'http://169.254.169.254';
/** The service is in the hypervisor and answers within a few milliseconds, or it is not there. */
const answerMsMax = 500;
const answerBytesMax = 4_096;
/** Only long enough for the questions below. */
const tokenSeconds = '60';

const firmware = '/sys/class/dmi/id';

/**
 * Does the firmware say EC2? Nitro and bare metal name the vendor; Xen instances have a product id that begins with
 * `ec2`. Elsewhere no packet goes to the address of the metadata service, which may be anybody's.
 */
export async function isEc2(folder: string = firmware): Promise<boolean> {
  const [vendor, product] = await Promise.all([
    textOf(`${folder}/sys_vendor`),
    textOf(`${folder}/product_uuid`),
  ]);
  return vendor === 'amazon ec2' || product.startsWith('ec2');
}

async function textOf(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim().toLowerCase();
  } catch {
    return '';
  }
}

/** May the metadata service be asked, and where? Undefined: no. */
export async function metadataEndpoint(
  env: Environment,
  folder?: string,
): Promise<string | undefined> {
  const disabled = env['AWS_EC2_METADATA_DISABLED'];
  if (disabled !== undefined && disabled !== '' && disabled !== 'false') return undefined;
  const named = env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
  if (named !== undefined && named !== '') return named.replace(/\/+$/, '');
  return (await isEc2(folder)) ? fixedEndpoint : undefined;
}

export interface Instance {
  readonly region: string;
}

/** Asks the instance for its region; undefined where it has no role, so that there are no credentials either. */
export async function describeInstance(
  endpoint: string,
  egress: Egress,
): Promise<Instance | undefined> {
  const ask = (method: 'GET' | 'PUT', path: string, headers: Readonly<Record<string, string>>) =>
    metadata(endpoint, egress, { method, path, headers });
  const token = await ask('PUT', '/latest/api/token', {
    'x-aws-ec2-metadata-token-ttl-seconds': tokenSeconds,
  });
  if (token === undefined) return undefined;
  const headers = { 'x-aws-ec2-metadata-token': token };
  const [role, region] = await Promise.all([
    ask('GET', '/latest/meta-data/iam/security-credentials/', headers),
    ask('GET', '/latest/meta-data/placement/region', headers),
  ]);
  return role === undefined || region === undefined || !/^[a-z0-9-]{1,32}$/.test(region)
    ? undefined
    : { region };
}

async function metadata(
  endpoint: string,
  egress: Egress,
  part: {
    readonly method: 'GET' | 'PUT';
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  },
): Promise<string | undefined> {
  const answer = await egress({
    method: part.method,
    url: new URL(endpoint + part.path),
    headers: part.headers,
    signal: AbortSignal.timeout(answerMsMax),
    timeouts: {
      connectMs: answerMsMax,
      firstByteMs: answerMsMax,
      idleMs: answerMsMax,
      totalMs: answerMsMax,
    },
    // The fixed address itself, or one that the operator's variable names.
    permission: { internal: true },
  });
  if (!answer.ok) return undefined;
  if (answer.value.status !== 200) {
    answer.value.cancel();
    return undefined;
  }
  const bytes = await answer.value.readAll(answerBytesMax);
  const text = bytes.ok ? new TextDecoder().decode(bytes.value).trim() : '';
  return text === '' ? undefined : text;
}
