import type { ServerHttp2Stream } from 'node:http2';
import { labelOf } from '@postern/core/state';
import type { BodyRoom } from './body-budget.ts';
import { BodyBudget } from './body-budget.ts';
import type { Registration } from './joining/registration.ts';
import { actorOf } from './joining/registration.ts';
import { coordinationLimits } from './limits.ts';
import type { MachineCall } from './machine-channel.ts';
import type { MachineServices, ServiceAnswer } from './machine-services.ts';
import { absentService, featureText } from './machine-services.ts';
import type { Machine } from './netmap/machine.ts';
import type { MapHub } from './netmap/map-hub.ts';
import type { NetworkView } from './netmap/network-view.ts';
import type { Report } from './netmap/reports.ts';
import { emptyHostinfo } from './netmap/reports.ts';
import type { NetworkJournal } from './ports.ts';
import type { Fields } from './protocol/read.ts';
import { keyAt, parseFields, textAt } from './protocol/read.ts';
import type { MapRequest } from './protocol/requests.ts';
import type { SshActionOptions } from './ssh-action.ts';
import { sshAction } from './ssh-action.ts';
import { readMapRequest, readRegisterRequest } from './protocol/requests.ts';

export interface MachineApiOptions {
  readonly registration: Registration;
  readonly view: NetworkView;
  readonly hub: MapHub;
  readonly journal: NetworkJournal;
  readonly nowMs: () => number;
  readonly onFault: (fault: unknown) => void;
  readonly ssh: SshActionOptions;
  readonly services: MachineServices;
  /** Machines can prove their names to an authority. */
  readonly hasCertificates: boolean;
}

/** What machines ask over their channel. Whatever names a node key is held against the machine key of the channel. */
export class MachineApi {
  readonly #options: MachineApiOptions;
  readonly #bodies = new BodyBudget();

  constructor(options: MachineApiOptions) {
    this.#options = options;
  }

  async serve(call: MachineCall): Promise<void> {
    const [path = ''] = call.path.split('?', 1);
    if (path === '/machine/whoami') return this.#whoami(call);
    if (path.startsWith('/machine/ssh/action/')) return this.#ssh(call, path);
    const handler = this.#handlers[path];
    if (handler === undefined) return answer(call.stream, 501, { error: absentService(path) });
    const room = this.#bodies.open({ source: call.source, isKnown: this.#isKnown(call) });
    const fields = await readBody(call.stream, room).finally(() => room.release());
    if (fields === undefined) return answer(call.stream, 400, { error: 'no JSON object of ours' });
    await handler(call, fields);
  }

  #isKnown({ machineKey }: MachineCall): boolean {
    return this.#options.journal.snapshot().network.nodesByMachine.has(machineKey);
  }

  readonly #handlers: Readonly<
    Record<string, (call: MachineCall, fields: Fields) => Promise<void> | void>
  > = {
    '/machine/register': (call, fields) => this.#register(call, fields),
    '/machine/map': (call, fields) => this.#map(call, fields),
    '/machine/update-health': (call, fields) => this.#accepted(call, fields),
    '/machine/audit-log': (call, fields) => this.#accepted(call, fields),
    '/machine/feature/query': (call, fields) => this.#feature(call, fields),
    '/machine/id-token': (call, fields) =>
      this.#serve(call, fields, (machine) => this.#options.services.idToken(machine, fields)),
    '/machine/set-dns': (call, fields) =>
      this.#serve(call, fields, (machine) => this.#options.services.setDns(machine, fields)),
  };

  /** For the machine whose node key it names, and for no other. */
  async #serve(
    call: MachineCall,
    fields: Fields,
    ask: (machine: Machine) => ServiceAnswer | Promise<ServiceAnswer>,
  ): Promise<void> {
    const nodeKey = keyAt(fields, 'NodeKey', 'nodekey');
    const machine = nodeKey === undefined ? undefined : this.#machineOf(call, nodeKey);
    if (machine === undefined) {
      return answer(call.stream, 401, { error: 'not the node of this machine' });
    }
    const { status, body } = await ask(machine);
    answer(call.stream, status, body);
  }

  #feature({ stream }: MachineCall, fields: Fields): void {
    const text = featureText(textAt(fields, 'Feature'), this.#options.hasCertificates);
    answer(stream, 200, { complete: text === '', text });
  }

  async #ssh({ machineKey, stream }: MachineCall, path: string): Promise<void> {
    const left = new AbortController();
    stream.on('close', () => left.abort());
    const action = await sshAction(this.#options.ssh, machineKey, path, left.signal);
    answer(stream, action === undefined ? 404 : 200, action ?? { error: 'no such session' });
  }

  async #register({ machineKey, stream }: MachineCall, fields: Fields): Promise<void> {
    const request = readRegisterRequest(fields);
    if (request === undefined) return answer(stream, 400, { Error: 'no node key' });
    const left = new AbortController();
    stream.on('close', () => left.abort());
    const { registration } = this.#options;
    const result = await registration.answer(machineKey, request, left.signal);
    this.#options.hub.wake();
    answer(stream, 200, result);
  }

  async #map(call: MachineCall, fields: Fields): Promise<void> {
    const request = readMapRequest(fields);
    const { stream } = call;
    if (request === undefined) return answer(stream, 400, { error: 'no node key' });
    const machine = this.#machineOf(call, request.nodeKey);
    if (machine === undefined) return answer(stream, 404, { error: 'node not found' });
    const { hub } = this.#options;
    if (request.stream) return this.#stream(machine, request, stream);
    if (!request.readOnly) await this.#report(machine, request);
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    if (request.omitPeers) return void stream.end();
    stream.end(hub.whole(machine, request));
  }

  async #stream(machine: Machine, request: MapRequest, stream: ServerHttp2Stream): Promise<void> {
    const { hub } = this.#options;
    // What a stream says of the machine is old by definition; it counts only where nothing is known.
    if (machine.report === undefined || machine.report.discoKey === '') {
      await this.#report(machine, request);
    }
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    const session = hub.open(machine, request, stream);
    stream.on('close', () => hub.close(session));
  }

  async #report(machine: Machine, request: MapRequest): Promise<void> {
    const { view, hub, nowMs } = this.#options;
    const before = machine.report;
    const hostinfo = request.hostinfo ?? before?.hostinfo ?? emptyHostinfo;
    const report: Report = {
      version: request.version,
      discoKey: request.discoKey ?? before?.discoKey ?? '',
      endpoints: request.endpoints,
      derp: hostinfo.preferredDerp > 0 ? hostinfo.preferredDerp : (before?.derp ?? 0),
      hostinfo,
      lastSeenMs: hub.isConnected(machine) ? 0 : nowMs(),
    };
    view.report(machine, report);
    await this.#follow(machine);
    hub.wake();
  }

  /** What a report makes of decisions: the name follows the host, and the policy approves routes by itself. */
  async #follow(machine: Machine): Promise<void> {
    const { view, journal } = this.#options;
    const { record, report } = machine;
    const actor = actorOf(record.machineKey);
    const hostname = report?.hostinfo.hostname ?? '';
    const wanted = labelOf(hostname);
    const hasName = record.name === wanted || record.name.replace(/-\d+$/, '') === wanted;
    if (hostname !== '' && !record.isNamed && !hasName) {
      const { id } = record;
      await journal.execute({ kind: 'node.rename', id, name: hostname, from: 'reported' }, actor);
    }
    const routes = view.routesToApprove(machine);
    if (routes !== undefined) {
      await journal.execute(
        { kind: 'node.routes', id: record.id, approved: routes },
        'policy:auto-approvers',
      );
    }
  }

  #machineOf({ machineKey }: MachineCall, nodeKey: string): Machine | undefined {
    const { view, journal } = this.#options;
    const node = journal.snapshot().network.nodesByKey.get(nodeKey);
    if (node === undefined || node.machineKey !== machineKey) return undefined;
    return view.machine(node.id);
  }

  /** Requests that ask for nothing; refused all the same where the key is not the caller's. */
  #accepted(call: MachineCall, fields: Fields): void {
    const nodeKey = keyAt(fields, 'NodeKey', 'nodekey');
    const isOwn = nodeKey !== undefined && this.#machineOf(call, nodeKey) !== undefined;
    answer(call.stream, isOwn ? 200 : 401, isOwn ? {} : { error: 'not the node of this machine' });
  }

  #whoami({ machineKey, stream }: MachineCall): void {
    const nodes = this.#options.journal.snapshot().network.nodesByMachine.get(machineKey) ?? [];
    answer(stream, 200, {
      MachineKey: machineKey,
      Nodes: nodes.map(({ id, name }) => ({ id, name })),
    });
  }
}

function answer(stream: ServerHttp2Stream, status: number, body: object): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  stream.end(JSON.stringify(body));
}

/** The body as a JSON object; undefined where it is too large, too slow or none, or there is no room for it. */
function readBody(stream: ServerHttp2Stream, room: BodyRoom): Promise<Fields | undefined> {
  const { promise, resolve } = Promise.withResolvers<Fields | undefined>();
  let chunks: Buffer[] = [];
  let isOver = false;
  const timer = setTimeout(() => resolve(undefined), coordinationLimits.bodyMsMax).unref();
  stream.on('data', (chunk: Buffer) => {
    if (isOver) return;
    if (room.take(chunk.length)) return void chunks.push(chunk);
    resolve(undefined);
  });
  stream.on('end', () => resolve(parseFields(Buffer.concat(chunks))));
  stream.on('close', () => resolve(undefined));
  return promise.finally(() => {
    clearTimeout(timer);
    // What still comes is read and forgotten.
    isOver = true;
    chunks = [];
  });
}
