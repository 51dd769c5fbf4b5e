/** A SPIRE agent as far as a workload sees it: the Workload API on a unix socket, by the same gRPC library's server half. */
import type { KeyObject } from 'node:crypto';
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { concatBytes, utf8 } from '@postern/core/base';

export interface FakeSvid {
  readonly spiffeId: string;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly key: KeyObject;
  readonly bundle: readonly Uint8Array[];
}

export interface FakeUpdate {
  readonly svids: readonly FakeSvid[];
  readonly federated?: Readonly<Record<string, readonly Uint8Array[]>>;
}

export interface FakeSpireAgent {
  /** Sends this to everybody who listens, and to whoever comes later. */
  push(update: FakeUpdate): void;
  /** Sends bytes as they are. */
  pushRaw(bytes: Uint8Array): void;
  /** Ends all open streams, as an agent that restarts. */
  drop(): void;
  /** From now on nobody has an identity. */
  deny(): void;
  readonly streams: () => number;
  close(): void;
}

function varint(value: number): Uint8Array {
  const octets: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    octets.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return Uint8Array.from([...octets, rest]);
}

export function protoField(number: number, value: Uint8Array): Uint8Array {
  return concatBytes(varint(number * 8 + 2), varint(value.length), value);
}

/** An `X509SVIDResponse` as the protobuf compiler's code would write it. */
export function x509Response({ svids, federated = {} }: FakeUpdate): Uint8Array {
  return concatBytes(
    ...svids.map(({ spiffeId, chain, key, bundle }) =>
      protoField(
        1,
        concatBytes(
          protoField(1, utf8(spiffeId)),
          protoField(2, concatBytes(...chain)),
          protoField(3, new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }))),
          protoField(4, concatBytes(...bundle)),
        ),
      ),
    ),
    ...Object.entries(federated).map(([domain, ders]) =>
      protoField(
        3,
        concatBytes(protoField(1, utf8(`spiffe://${domain}`)), protoField(2, concatBytes(...ders))),
      ),
    ),
  );
}

export async function startSpireAgent(socket: string): Promise<FakeSpireAgent> {
  type Stream = ServerWritableStream<Buffer, Buffer>;
  const open = new Set<Stream>();
  let last: Buffer | undefined;
  let isDenied = false;
  const server = new Server();
  server.addService(
    {
      fetchX509Svid: {
        path: '/SpiffeWorkloadAPI/FetchX509SVID',
        requestStream: false,
        responseStream: true,
        requestSerialize: (bytes: Buffer) => bytes,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (bytes: Buffer) => bytes,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    {
      fetchX509Svid: (call: Stream) => {
        const refuse = (code: number, details: string): void => {
          call.emit('error', { code, details, metadata: new Metadata() });
        };
        if (call.metadata.get('workload.spiffe.io')[0] !== 'true') {
          return refuse(status.INVALID_ARGUMENT, 'security header missing from request');
        }
        if (isDenied) return refuse(status.PERMISSION_DENIED, 'no identity issued');
        open.add(call);
        call.on('cancelled', () => open.delete(call));
        if (last !== undefined) call.write(last);
      },
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (cause) =>
      cause === null ? resolve() : reject(cause),
    );
  });
  const pushRaw = (bytes: Uint8Array): void => {
    last = Buffer.from(bytes);
    for (const call of open) call.write(last);
  };
  const drop = (): void => {
    for (const call of open) call.end();
    open.clear();
  };
  return {
    push: (update) => pushRaw(x509Response(update)),
    pushRaw,
    drop,
    deny: () => {
      isDenied = true;
      drop();
    },
    streams: () => open.size,
    close: () => server.forceShutdown(),
  };
}
