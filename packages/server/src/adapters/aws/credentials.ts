import process from 'node:process';
import { metadataEndpoint } from './instance.ts';

/** An access key with what makes it temporary. */
export interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Credentials as they stand now. */
export interface AwsCredentials {
  /** Throws the SDK's own error where no source has any. */
  current(): Promise<AwsIdentity>;
  /** The ones given last were refused as expired or unknown: the next ones come from a fresh look at every source. */
  forget(): void;
}

export interface CredentialOptions {
  /** A profile of the AWS configuration files; absent: the default chain. */
  readonly profile?: string;
  readonly nowMs: () => number;
}

/** Credentials that do not say when they end come from a file or a variable, which is read again after this time. */
const restMs = 60_000;
/** However often they are refused, the sources are not asked more often than this. */
const freshMsMin = 5_000;
/** The metadata service: one try takes this long, and it may be busy while the instance starts. */
const metadataMsMax = 1_000;
const metadataRetries = 2;

/**
 * The SDK's default chain: variables, profile, web identity, container, instance role. It renews what expires by
 * itself, five minutes ahead; what it gives is asked for anew here where it has no end.
 */
export function createAwsCredentials(options: CredentialOptions): AwsCredentials {
  let chain: (() => Promise<AwsIdentity>) | undefined;
  let madeAtMs = Number.NEGATIVE_INFINITY;
  let inFlight: Promise<AwsIdentity> | undefined;
  let isLasting = false;

  async function load(): Promise<AwsIdentity> {
    const now = options.nowMs();
    if (isLasting && now - madeAtMs >= restMs) chain = undefined;
    if (chain === undefined) {
      chain = await makeChain(options.profile);
      madeAtMs = now;
    }
    const identity = await chain();
    isLasting = identity.expiration === undefined;
    return identity;
  }

  return {
    current: () => {
      inFlight ??= load().finally(() => {
        inFlight = undefined;
      });
      return inFlight;
    },
    forget: () => {
      if (options.nowMs() - madeAtMs >= freshMsMin) chain = undefined;
    },
  };
}

/** The SDK writes its advice to standard error otherwise. */
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore };

function ignore(): void {}

async function makeChain(profile: string | undefined): Promise<() => Promise<AwsIdentity>> {
  // The SDK's own switch: without it, the last link of the chain knocks at an address that may be anybody's.
  if ((await metadataEndpoint(process.env)) === undefined) {
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true';
  }
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  return defaultProvider({
    ...(profile === undefined ? {} : { profile }),
    logger: silent,
    ignoreCache: true,
    ec2MetadataV1Disabled: true,
    timeout: metadataMsMax,
    maxRetries: metadataRetries,
  });
}
