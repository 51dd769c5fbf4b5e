import { createHash, sign } from 'node:crypto';
import {
  type EnrolmentAnswer,
  enrolmentDocument,
  enrolmentPath,
  type EnrolmentRequest,
  enrolmentText,
  readAnswer,
} from '@postern/core/attest/enrolment';
import {
  parseCertificate,
  parseSpiffeBundle,
  type SignatureVerifier,
  type SpiffeBundle,
  usageOid,
  verifySvid,
} from '@postern/core/attest/x509';
import { writePem } from '@postern/core/base/der';
import { err, isJsonObject, readJson, type Result, type Secret } from '@postern/core/base';
import type { Egress } from '../../http/index.ts';
import type { IdentitySource, MeshCredential } from '../../mesh/index.ts';
import { createRequest } from './certificate-request.ts';
import { createCredential } from './credential.ts';
import { type Enrolment, openEnrolment, writeEnrolment } from './enrolment-file.ts';

export interface AuthoritySourceOptions {
  /** Of the control listener that issues: `https://…`, or `http://…` inside the private network. */
  readonly url: URL;
  /** 40 hex digits, lower case: the app that our join token is for. */
  readonly app: string;
  /** The join token; asked for only where this machine has not joined. */
  readonly token: (() => Promise<Result<Secret, { readonly message: string }>>) | undefined;
  /** Where the renewal key is kept. */
  readonly file: string;
  readonly uid: number | undefined;
  readonly caPem?: string;
  readonly egress: Egress;
  readonly signatures: SignatureVerifier;
  readonly nowMs: () => number;
}

const timeouts = { connectMs: 5_000, firstByteMs: 10_000, idleMs: 10_000, totalMs: 20_000 };
/** A chain and a bundle of a few authorities. */
const answerBytesMax = 1_048_576;

type Asked = Result<EnrolmentAnswer, { readonly message: string; readonly isUnknown: boolean }>;

/**
 * Certificates by the mesh's own authority: a join token the first time, later a key that never leaves this machine. Each
 * certificate has a fresh key of its own. What the authority answers is checked like a peer's certificate before it is shown.
 */
export function createAuthoritySource(options: AuthoritySourceOptions): IdentitySource {
  const { url, nowMs } = options;
  let bundles: ReadonlyMap<string, SpiffeBundle> = new Map();
  return {
    name: `authority ${url.origin}`,
    bundles: () => bundles,
    issue: async (signal) => {
      const opened = await openEnrolment(options.file, options.uid);
      if (!opened.ok) return opened;
      const { key, csr } = createRequest();
      const answer = await enrol(options, opened.value, { csr, signal });
      if (!answer.ok) return answer;
      const checked = checkAnswer(options, answer.value, nowMs());
      if (!checked.ok) return err(`the authority's answer: ${checked.error}`);
      const made = credentialOf(key, answer.value);
      if (made.ok) bundles = new Map([[checked.value.trustDomain, checked.value]]);
      return made;
    },
  };
}

interface Part {
  readonly csr: Uint8Array;
  readonly signal: AbortSignal;
}

async function enrol(
  options: AuthoritySourceOptions,
  enrolment: Enrolment,
  part: Part,
): Promise<Result<EnrolmentAnswer, string>> {
  if (enrolment.instance !== undefined) {
    const renewed = await ask(options, enrolment, part, undefined);
    if (renewed.ok) return renewed;
    if (!renewed.error.isUnknown || options.token === undefined) return err(renewed.error.message);
    // The authority does not know us any more: a token, where there is one, joins us anew.
  }
  const token = await options.token?.();
  if (token === undefined) return err('this machine has not joined, and there is no join token');
  if (!token.ok) return err(`the join token: ${token.error.message}`);
  const joined = await ask(options, { ...enrolment, instance: undefined }, part, token.value);
  if (!joined.ok) return err(joined.error.message);
  const { instance } = joined.value;
  const written = await writeEnrolment(options.file, { ...enrolment, instance });
  return written.ok ? joined : written;
}

async function ask(
  { url, app, egress, caPem, nowMs }: AuthoritySourceOptions,
  { renewalKey, publicKey, instance }: Enrolment,
  { csr, signal }: Part,
  token: Secret | undefined,
): Promise<Asked> {
  const atMs = nowMs();
  const kind = instance === undefined ? 'join' : 'renew';
  const csrHash = new Uint8Array(createHash('sha256').update(csr).digest());
  const text = enrolmentText({ kind, whom: instance ?? app, atMs }, csrHash);
  const proof = new Uint8Array(sign(null, text, renewalKey));
  const shared = { csr, atMs, proof };
  const request: EnrolmentRequest =
    instance === undefined
      ? { kind: 'join', app, renewalKey: publicKey, ...shared }
      : { kind: 'renew', instance, ...shared };
  const answer = await egress({
    method: 'POST',
    url: new URL(enrolmentPath, url),
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
    },
    body: JSON.stringify(enrolmentDocument(request)),
    signal,
    timeouts,
    permission: { internal: true },
    ...(caPem === undefined ? {} : { caPem }),
  });
  const failed = (message: string, isUnknown = false): Asked => err({ message, isUnknown });
  if (!answer.ok) return failed(`${url.origin}: ${answer.error.message}`);
  const { status } = answer.value;
  const body = await answer.value.readAll(answerBytesMax);
  const value = body.ok ? readJson(body.value) : body;
  if (status !== 200) {
    const said = value.ok && isJsonObject(value.value) ? value.value['error'] : undefined;
    const message = said !== undefined && isJsonObject(said) ? said['message'] : said;
    const why = typeof message === 'string' ? `: ${message.slice(0, 300)}` : '';
    return failed(`${url.origin} answered with status ${status}${why}`, status === 401);
  }
  if (!value.ok) return failed(`${url.origin} answered with something that is not JSON`);
  const read = readAnswer(value.value);
  return read.ok ? read : failed(`${url.origin} answered without ${read.error}`);
}

/** The bundle, once the leaf leads to it and names the app that was asked for. */
function checkAnswer(
  { app, signatures }: AuthoritySourceOptions,
  answer: EnrolmentAnswer,
  at: number,
): Result<SpiffeBundle, string> {
  const bundle = parseSpiffeBundle(answer.trustDomain, answer.bundle);
  if (!bundle.ok) return err(bundle.error.detail);
  const [first, ...rest] = answer.chain.map((bytes) => parseCertificate(bytes));
  if (first?.ok !== true) return err('no certificate that can be read');
  const verified = verifySvid(
    {
      leaf: first.value,
      intermediates: rest.flatMap((each) => (each.ok ? [each.value] : [])),
      bundles: new Map([[answer.trustDomain, bundle.value]]),
      at,
      purpose: usageOid.clientAuth,
    },
    signatures,
  );
  if (!verified.ok) return err(verified.error.detail);
  const wanted = `/app/${app}/instance/${answer.instance}`;
  return verified.value.id.path === wanted ? bundle : err('the certificate is somebody else’s');
}

function credentialOf(key: Secret, { chain }: EnrolmentAnswer): Result<MeshCredential, string> {
  const pem = chain.map((bytes) => writePem({ label: 'CERTIFICATE', bytes })).join('');
  return createCredential(key, pem);
}
