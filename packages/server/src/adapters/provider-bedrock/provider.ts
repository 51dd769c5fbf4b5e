import type { Result } from '@postern/core/base';
import type { DialectName } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Provider } from '../../gateway/index.ts';
import type {
  Egress,
  OutboundAnswer,
  OutboundRequest,
  OutboundTimeouts,
} from '../../http/index.ts';
import { sendFresh } from '../../http/index.ts';
import type { AwsSigner } from '../aws/index.ts';
import { createAwsCredentials, createAwsSigner } from '../aws/index.ts';
import { bedrockEndpoints } from './endpoints.ts';
import { listModels } from './list.ts';

export interface BedrockProviderOptions {
  readonly id: string;
  readonly region: string;
  /** A profile of the AWS configuration files; absent: the default chain. */
  readonly profile: string | undefined;
  /** Another address than Amazon's own of the region. */
  readonly endpoint: string | undefined;
  readonly sendsUnlisted: boolean;
  readonly caPem: string | undefined;
  readonly timeouts: OutboundTimeouts;
  readonly maxOutputTokens: number | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly egress: Egress;
}

/** Converse is every model's; the Messages body of InvokeModel is that of Anthropic's. */
const dialects: readonly DialectName[] = ['bedrock-converse', 'bedrock-invoke'];
const anthropicDialects: readonly DialectName[] = ['bedrock-invoke', 'bedrock-converse'];

export function createBedrockProvider(options: BedrockProviderOptions): Provider {
  const endpoints = bedrockEndpoints(options);
  const credentials = createAwsCredentials({
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    nowMs: options.nowMs,
  });
  const signer = createAwsSigner({ ...options, service: 'bedrock', credentials });
  const send = (part: Part): Promise<Result<OutboundAnswer, Refusal>> =>
    sendSigned(options, signer, part);

  return {
    id: options.id,
    dialects,
    dialectsFor: (model, own) =>
      own === 'anthropic-messages' && isAnthropic(model) ? anthropicDialects : dialects,
    sendsUnlisted: options.sendsUnlisted,
    countsTokens: false,
    place: new URL(endpoints.runtime).host,
    call: ({ path, body, headers, signal }) =>
      send({
        method: 'POST',
        url: new URL(endpoints.runtime + path),
        headers: { 'content-type': 'application/json', ...headers },
        body,
        signal,
      }),
    list: async (signal) => {
      const listed = await listModels(options.id, (path) =>
        send({
          method: 'GET',
          url: new URL(endpoints.control + path),
          headers: { accept: 'application/json' },
          body: '',
          signal,
        }),
      );
      const { maxOutputTokens } = options;
      if (!listed.ok || maxOutputTokens === undefined) return listed;
      return { ok: true, value: listed.value.map((model) => ({ ...model, maxOutputTokens })) };
    },
  };
}

/** The names that Amazon gives them; a profile of an account hides whose model it is. */
function isAnthropic(model: string): boolean {
  return /(?:^|[./])anthropic\./.test(model);
}

type Part = Pick<OutboundRequest, 'method' | 'url' | 'headers' | 'signal'> & {
  readonly body: string;
};

/** Signs and sends; credentials that ran out meanwhile are renewed and the request is signed once more. */
async function sendSigned(
  options: BedrockProviderOptions,
  signer: AwsSigner,
  part: Part,
): Promise<Result<OutboundAnswer, Refusal>> {
  const first = await sendOnce(options, signer, part);
  if (!first.ok || !isExpired(first.value) || part.signal.aborted) return first;
  first.value.cancel();
  signer.forget();
  return sendOnce(options, signer, part);
}

async function sendOnce(
  options: BedrockProviderOptions,
  signer: AwsSigner,
  part: Part,
): Promise<Result<OutboundAnswer, Refusal>> {
  const signed = await signer.sign(part);
  if (!signed.ok) {
    return refuse('upstream_credential', `Provider "${options.id}": ${signed.error}.`);
  }
  return sendFresh(options.egress, {
    method: part.method,
    url: part.url,
    headers: signed.value,
    ...(part.body === '' ? {} : { body: part.body }),
    signal: part.signal,
    timeouts: options.timeouts,
    // Amazon's own names lead to private addresses in a VPC; any other address the operator wrote.
    permission: { internal: true },
    ...(options.caPem === undefined ? {} : { caPem: options.caPem }),
  });
}

const expiredTypes =
  /^(?:ExpiredToken|ExpiredTokenException|UnrecognizedClientException|InvalidClientTokenId)\b/;

function isExpired(answer: OutboundAnswer): boolean {
  return (
    (answer.status === 400 || answer.status === 401 || answer.status === 403) &&
    expiredTypes.test(answer.headers['x-amzn-errortype'] ?? '')
  );
}
