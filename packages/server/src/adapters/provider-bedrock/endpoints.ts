/** Where Bedrock is: the runtime that answers, and the control plane that lists. */
export interface BedrockEndpoints {
  readonly runtime: string;
  readonly control: string;
}

export interface EndpointChoice {
  readonly region: string;
  /** The operator's own, from the configuration. */
  readonly endpoint: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The configuration first, then the SDK's own variables, then Amazon's addresses of the region. An address that is
 * none of Amazon's (a proxy, a stand-in) answers for both; a VPC endpoint of the runtime does not list.
 */
export function bedrockEndpoints({ region, endpoint, env }: EndpointChoice): BedrockEndpoints {
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const every = named(env['AWS_ENDPOINT_URL']);
  const runtime = endpoint ?? named(env['AWS_ENDPOINT_URL_BEDROCK_RUNTIME']) ?? every;
  const isElsewhere = runtime !== undefined && !isAmazon(new URL(runtime).hostname);
  const control =
    named(env['AWS_ENDPOINT_URL_BEDROCK']) ??
    (isElsewhere ? runtime : every) ??
    `https://bedrock.${region}.${domain}`;
  return {
    runtime: withoutSlash(runtime ?? `https://bedrock-runtime.${region}.${domain}`),
    control: withoutSlash(control),
  };
}

function named(text: string | undefined): string | undefined {
  return text === undefined || !URL.canParse(text) ? undefined : text;
}

function isAmazon(hostname: string): boolean {
  return /(?:^|\.)amazonaws\.com(?:\.cn)?$/.test(hostname);
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
