import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { isNodeType, registryLimits } from '@postern/core/registry';
import type { Instance } from '@postern/core/registry';
import { refusal } from '@postern/core/errors';
import type { HttpRequest, HttpReply, HttpStream } from '../../http/index.ts';
import type { Requester } from '../control.ts';
import { instanceText } from './instance-text.ts';
import type { Registry } from './registry.ts';

export const watchPath = '/api/v1/registry/watch';

/** Streams of one process. Each costs a connection and, at worst, its backlog. */
const watchersMax = 10_000;
/** A reader that is further behind is cut off, and begins again with the whole list. */
const backlogBytesMax = 1_048_576;
const heartbeatMs = 15_000;

let watchers = 0;

export interface WatchRouteOptions {
  readonly registry: Registry;
  readonly identify: (request: HttpRequest) => Promise<Result<Requester, Refusal>>;
  readonly after: (ms: number, run: () => void) => { clear(): void };
  readonly refuse: (reply: HttpReply, why: Refusal, request: HttpRequest) => void;
}

/**
 * Server-sent events: first every live instance as `joined`, then `ready`, then what changes, as it happens. `type`
 * narrows it to one type.
 */
export async function watchRoute(
  request: HttpRequest,
  reply: HttpReply,
  options: WatchRouteOptions,
): Promise<void> {
  const { registry } = options;
  const by = await options.identify(request);
  const rights = by.ok ? registry.rights(by.value) : by;
  if (!rights.ok) return options.refuse(reply, rights.error, request);
  const query = new URLSearchParams(request.query);
  const type = query.get('type') ?? undefined;
  if (
    [...query.keys()].some((key) => key !== 'type') ||
    (type !== undefined && !isNodeType(type))
  ) {
    return options.refuse(reply, refusal('invalid_request', 'type: one node type.'), request);
  }
  if (request.method !== 'GET') {
    return options.refuse(reply, refusal('method_not_allowed', `${watchPath} takes GET.`), request);
  }
  if (watchers >= watchersMax) {
    return options.refuse(reply, refusal('overloaded', 'Too many watch already.'), request);
  }
  watchers += 1;
  const ended = new AbortController();
  const stream = reply.start(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
  });
  const writer = new Backlog(stream, () => ended.abort());
  const stop = (): void => ended.abort();
  request.signal.addEventListener('abort', stop, { once: true });
  const wanted = (instance: Instance): boolean => type === undefined || instance.nodeType === type;
  registry.watch((changes) => {
    for (const { kind, instance } of changes) {
      if (wanted(instance)) writer.write(event(kind, instance, registry));
    }
  }, ended.signal);
  let after: string | undefined;
  do {
    const page =
      type === undefined
        ? registry.list({ limit: registryLimits.pageMax, after })
        : registry.discover(type, { limit: registryLimits.pageMax, after });
    writer.write(page.members.map((each) => event('joined', each, registry)).join(''));
    after = page.next;
  } while (after !== undefined);
  writer.write('event: ready\ndata: {}\n\n');
  let timer: { clear(): void } | undefined;
  const beat = (): void => {
    writer.write(': still here\n\n');
    timer = options.after(heartbeatMs, beat);
  };
  timer = options.after(heartbeatMs, beat);
  if (request.signal.aborted) stop();
  await new Promise<void>((done) => {
    if (ended.signal.aborted) done();
    else ended.signal.addEventListener('abort', () => done(), { once: true });
  });
  timer.clear();
  watchers -= 1;
  stream.destroy();
}

function event(kind: string, instance: Instance, registry: Registry): string {
  return `event: ${kind}\ndata: ${instanceText(instance, registry)}\n\n`;
}

/** What a slow reader has not taken yet, up to a limit. */
class Backlog {
  readonly #stream: HttpStream;
  readonly #dead: () => void;
  #text = '';
  #isWaiting = false;

  constructor(stream: HttpStream, dead: () => void) {
    this.#stream = stream;
    this.#dead = dead;
  }

  write(text: string): void {
    this.#text += text;
    if (this.#text.length > backlogBytesMax && this.#isWaiting) this.#dead();
    else this.#flush();
  }

  #flush(): void {
    if (this.#isWaiting || this.#text === '') return;
    const bytes = new TextEncoder().encode(this.#text);
    this.#text = '';
    const written = this.#stream.write(bytes);
    if (written === true) return;
    this.#isWaiting = true;
    void written.then((isAlive) => {
      this.#isWaiting = false;
      if (isAlive) this.#flush();
      else this.#dead();
    });
  }
}
