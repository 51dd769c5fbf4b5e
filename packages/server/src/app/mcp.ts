import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { AdminGate, OperationContext, Permit } from '../control/api/index.ts';
import type { HttpHandler } from '../http/index.ts';
import type { ToolLine } from '../mcp/index.ts';

/** What agents are served with is loaded when the first one comes. */
export interface AgentOptions {
  readonly operations: () => Promise<OperationContext>;
  readonly identify: AdminGate['identify'];
  /** What a caller may do on the admin listener. */
  readonly permit: Permit;
  readonly stateDir: string;
  readonly version: string;
  readonly isReadOnly: () => boolean;
  /** Issuers whose tokens identify callers. */
  readonly issuers: () => readonly string[];
  readonly record: (line: ToolLine) => void;
  readonly onFault: (fault: unknown, requestId: string) => void;
}

export interface AgentHandlers {
  /** `/mcp` of the admin listener. */
  readonly admin: HttpHandler;
  /** `/mcp/desk` of the control socket, for `postern mcp`. */
  readonly socket: HttpHandler;
}

export async function agentHandlers(options: AgentOptions): Promise<AgentHandlers> {
  const [mcp, protocols] = await Promise.all([
    import('../mcp/index.ts'),
    import('../mcp/protocol/index.ts'),
  ]);
  const { identify, permit, onFault } = options;
  const { nowMs } = (await options.operations()).control.system;
  const randomHex = (): string => randomBytes(32).toString('hex');
  const desk = mcp.createDesk(
    {
      operations: options.operations,
      record: options.record,
      keepFile: (name, secret) => keepForOwner(options.stateDir, { name, secret, nowMs: nowMs() }),
      isReadOnly: options.isReadOnly,
      onFault,
    },
    randomHex,
  );
  const surface = protocols.deskSurface({
    list: (ask, client) => Promise.resolve(desk.list(named(protocols.visitorOf(ask), client))),
    call: (ask, client, call) => desk.call(named(protocols.visitorOf(ask), client), call),
    read: (ask, client, uri) => desk.read(named(protocols.visitorOf(ask), client), uri),
  });
  const protocol = protocols.createProtocolHttp({
    surface,
    version: options.version,
    newSessionId: randomHex,
    nowMs,
    onError: () => undefined,
  });
  return {
    admin: mcp.mcpHttpHandler({
      desk,
      protocol,
      identify,
      permit,
      issuers: options.issuers,
      scheme: ({ peer }) => (peer.transport === 'tls' ? 'https' : 'http'),
    }),
    socket: mcp.deskHandler({ desk, identify, permit: () => ok(undefined) }),
  };
}

function named<T extends object>(visitor: T, client: string | undefined): T {
  return client === undefined ? visitor : { ...visitor, client };
}

const ownerOnly = 0o600;
const ownerOnlyFolder = 0o700;
/** As long as such a key is good for at most; what nobody fetched by then is of no use. */
const keptMs = 3_600_000;

/** A secret in a file that only the user who runs this process can read. */
async function keepForOwner(
  stateDir: string,
  {
    name,
    secret,
    nowMs,
  }: { readonly name: string; readonly secret: string; readonly nowMs: number },
): Promise<Result<string, Refusal>> {
  const folder = path.join(stateDir, 'handoff');
  const file = path.join(folder, `${name.replaceAll(/[^\w-]/g, '_')}.key`);
  try {
    await mkdir(folder, { recursive: true, mode: ownerOnlyFolder });
    await removeOld(folder, nowMs);
    await writeFile(file, `${secret}\n`, { mode: ownerOnly, flag: 'wx' });
    return ok(file);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error';
    return refuse('state_unavailable', `The key could not be kept for a person (${code}).`);
  }
}

async function removeOld(folder: string, nowMs: number): Promise<void> {
  for (const each of await readdir(folder)) {
    const file = path.join(folder, each);
    // oxlint-disable-next-line no-await-in-loop -- a handful of files
    const { mtimeMs } = await stat(file);
    // oxlint-disable-next-line no-await-in-loop -- a handful of files
    if (mtimeMs < nowMs - keptMs) await rm(file, { force: true });
  }
}
