import type { ServiceError } from '@grpc/grpc-js';
import { messageBytesMax } from './response.ts';

export interface WorkloadStream {
  /** Each message, and once why the stream ended. */
  readonly onMessage: (bytes: Uint8Array) => void;
  readonly onEnd: (why: string) => void;
  readonly signal: AbortSignal;
}

const method = '/SpiffeWorkloadAPI/FetchX509SVID';

/** `unix:/path`, `unix:///path` or `/path` as gRPC names it; other endpoints are not spoken. */
export function workloadApiAddress(text: string): string | undefined {
  const match = /^(?:unix:(?:\/\/)?)?(\/(?!\/)[^\0]{1,255})$/.exec(text);
  return match?.[1] === undefined ? undefined : `unix:${match[1]}`;
}

/** Opens one stream of identities (SPIFFE Workload API 5.2.1). The library is loaded here. */
export async function openX509Stream(address: string, stream: WorkloadStream): Promise<void> {
  const { Client, credentials, Metadata } = await import('@grpc/grpc-js');
  const { onMessage, onEnd, signal } = stream;
  if (signal.aborted) return;
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': messageBytesMax,
    // One stream, opened anew by us: the library's own waits would hide why.
    'grpc.enable_retries': 0,
  });
  const metadata = new Metadata();
  // Without it an agent refuses: a web page could reach the socket through a proxy (5.1).
  metadata.set('workload.spiffe.io', 'true');
  const call = client.makeServerStreamRequest(
    method,
    (message: Buffer) => message,
    (bytes: Buffer) => bytes,
    Buffer.alloc(0),
    metadata,
  );
  let isOver = false;
  const end = (why: string): void => {
    if (isOver) return;
    isOver = true;
    signal.removeEventListener('abort', abort);
    client.close();
    onEnd(why);
  };
  const abort = (): void => {
    call.cancel();
    end('stopped');
  };
  signal.addEventListener('abort', abort, { once: true });
  call.on('data', (bytes: Buffer) => {
    if (!isOver) onMessage(new Uint8Array(bytes));
  });
  call.on('error', ({ code, details }: ServiceError) => end(`gRPC status ${code}: ${details}`));
  call.on('end', () => end('the agent ended the stream'));
}
