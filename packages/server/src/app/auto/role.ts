import type { JsonObject } from '@postern/core/base';
import { readTailscaleEnv, textOf } from './tailscale-env.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What is there beside the variables. */
export interface Place {
  /** A configuration that somebody wrote: then nothing is written in its stead. */
  readonly configFile: string | undefined;
  /** Files of trust in the state folder. */
  readonly appraisalFile: string | undefined;
  readonly kmsRootsFile: string | undefined;
  /** What the guest agent says of this machine; undefined: there is none. */
  readonly self: { readonly appId: string; readonly instanceId: string } | undefined;
  readonly insecureAnyApp: boolean;
}

/** How a node comes to its registry. */
export interface NodePlan {
  readonly name: string;
  readonly type: string;
  readonly backend: string;
  /** `mesh`: through our own way out, to this app. `direct`: with a join key. */
  readonly via:
    | { readonly kind: 'mesh'; readonly appId: string; readonly port: number }
    | { readonly kind: 'direct'; readonly server: string };
  readonly loginServer: string | undefined;
  readonly statusFolder: string;
  /** Through the mesh a machine is known by its instance id. */
  readonly uuid: string | undefined;
}

/** What this machine is, why, and what is wrong with that. */
export interface Decision {
  readonly roles: readonly ('server' | 'node' | 'gateway')[];
  readonly reasons: readonly string[];
  /** Nothing starts with one of these. */
  readonly problems: readonly string[];
  /** Where no configuration is there; undefined: what is there, or none, counts. */
  readonly config: JsonObject | undefined;
  /** Written where there is no policy: without one nobody may anything. */
  readonly policy: JsonObject | undefined;
  readonly node: NodePlan | undefined;
  /** A key of a network is there: the gateway joins that by itself. */
  readonly joins: boolean;
}

const defaultBackend = '127.0.0.1:8000';
const registryPort = 443;
const appPattern = /^[0-9a-f]{40}$/;
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const typePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Reads the role from the variables of DStack VPC and of Tailscale's image. Pure: it looks at nothing else. */
export function decideRole(env: Env, place: Place): Decision {
  const deciding = new Deciding(env, place);
  const isServer = deciding.isServer();
  const nodeName = textOf(env['VPC_NODE_NAME']);
  const server = isServer ? deciding.server() : undefined;
  const node = nodeName === undefined ? undefined : deciding.node(nodeName, isServer);
  const roles: Decision['roles'][number][] = [];
  if (isServer) roles.push('server');
  if (nodeName !== undefined) roles.push('node');
  if (roles.length === 0) {
    roles.push('gateway');
    deciding.because('neither VPC_SERVER_ENABLED nor VPC_NODE_NAME is set: this is the gateway');
  }
  const joins = roles[0] !== 'node' && deciding.joins();
  const needsMesh = deciding.needsMesh(isServer, node);
  return {
    roles,
    reasons: deciding.reasons,
    problems: deciding.problems,
    config:
      place.configFile === undefined && (isServer || needsMesh)
        ? { ...server, ...(needsMesh ? { mesh: deciding.mesh(isServer, node) } : {}) }
        : undefined,
    policy: isServer || needsMesh ? deciding.policy() : undefined,
    node,
    joins,
  };
}

class Deciding {
  readonly reasons: string[] = [];
  readonly problems: string[] = [];
  readonly #env: Env;
  readonly #place: Place;
  readonly #apps: readonly string[] | 'any';

  constructor(env: Env, place: Place) {
    this.#env = env;
    this.#place = place;
    this.#apps = this.#allowedApps();
  }

  because(reason: string): void {
    this.reasons.push(reason);
  }

  #of(name: string): string | undefined {
    return textOf(this.#env[name]);
  }

  isServer(): boolean {
    const text = this.#of('VPC_SERVER_ENABLED');
    if (text === 'true') {
      this.because(
        'VPC_SERVER_ENABLED=true: this machine coordinates the network and keeps the registry',
      );
      return true;
    }
    if (text !== undefined && text !== 'false') {
      this.problems.push(`VPC_SERVER_ENABLED=${text}: write true or false`);
    }
    return false;
  }

  /** Who has nothing to show that it is an app has no use for the mesh, and needs none where keys count. */
  needsMesh(isServer: boolean, node: NodePlan | undefined): boolean {
    const { self, configFile } = this.#place;
    if (self === undefined && node?.via.kind === 'mesh' && configFile === undefined) {
      this.problems.push(
        'no guest agent answers (DSTACK_AGENT_ADDRESS, /var/run/dstack.sock): the mesh could not prove what this is. With a join key instead: POSTERN_JOIN_SERVER and POSTERN_JOIN_TOKEN_FILE',
      );
    }
    if (isServer && self === undefined) {
      this.because('no guest agent answers: the mesh stays off, and only join keys count');
      return false;
    }
    return isServer || node?.via.kind === 'mesh';
  }

  server(): JsonObject {
    const { configFile } = this.#place;
    if (configFile !== undefined) {
      this.because(
        `${configFile} is there: it says what the server is, and VPC_* variables change nothing of it`,
      );
    }
    const url = this.#serverUrl();
    this.#sayApps();
    return {
      engine: engineOf(url),
      registry: {
        allowedApps: this.#apps === 'any' ? [] : [...this.#apps],
        ...(this.#apps === 'any' ? { insecureAnyApp: true } : {}),
      },
      identities: {
        map: this.#apps === 'any' ? [] : this.#apps.map((app) => ({ app, as: ['tag:app'] })),
      },
    };
  }

  /** Its own word, else where the gateway of the platform publishes us, as the original guessed. */
  #serverUrl(): string | undefined {
    const said = this.#of('VPC_SERVER_URL') ?? this.#of('POSTERN_URL');
    if (said !== undefined) {
      this.because(
        `VPC_SERVER_URL=${said}: machines join there (our listener is :8090, POSTERN_COORDINATION_ADDR)`,
      );
      return said;
    }
    const domain = this.#of('DSTACK_GATEWAY_DOMAIN');
    const { self, configFile } = this.#place;
    if (domain !== undefined && self !== undefined && !domain.startsWith('fixed/')) {
      const url = `https://${self.appId}-8090.${domain}`;
      this.because(`VPC_SERVER_URL is not set: ${url} from the gateway domain`);
      return url;
    }
    if (configFile === undefined) {
      this.problems.push(
        'VPC_SERVER_URL is not set: it says where machines find this server, such as https://vpn.example.com',
      );
    }
    return undefined;
  }

  #allowedApps(): readonly string[] | 'any' {
    const text = this.#of('VPC_ALLOWED_APPS');
    if (text === undefined) return [];
    const words = text
      .split(',')
      .map((word) => word.trim().toLowerCase())
      .filter((word) => word !== '');
    if (words.includes('any')) {
      if (this.#place.insecureAnyApp) return 'any';
      this.problems.push(
        'VPC_ALLOWED_APPS=any lets every app under the same root register: name app ids, or say --insecure-any-app',
      );
      return [];
    }
    for (const word of words.filter((each) => !appPattern.test(each))) {
      this.problems.push(`VPC_ALLOWED_APPS: ${word} is no app id (40 hexadecimal digits)`);
    }
    return words;
  }

  #sayApps(): void {
    if (this.#apps === 'any') {
      this.because(
        'VPC_ALLOWED_APPS=any and --insecure-any-app: every app that the mesh verifies may register',
      );
    } else if (this.#apps.length === 0) {
      this.because('VPC_ALLOWED_APPS is empty: no app may register (join keys still count)');
    } else this.because(`VPC_ALLOWED_APPS: ${this.#apps.length} apps may register`);
  }

  node(given: string, isServer: boolean): NodePlan | undefined {
    const tailscale = readTailscaleEnv(this.#env);
    const name = given.toLowerCase();
    if (!namePattern.test(name)) {
      this.problems.push(
        `VPC_NODE_NAME=${given}: a name has letters, digits and dashes, at most 63`,
      );
      return undefined;
    }
    this.because(`VPC_NODE_NAME=${given}: this machine joins as ${name}`);
    const type = this.#of('VPC_NODE_TYPE');
    if (type === undefined) this.because('VPC_NODE_TYPE is not set: it is found as type "node"');
    else if (!typePattern.test(type)) {
      this.problems.push(`VPC_NODE_TYPE=${type}: a type has letters, digits, dots and dashes`);
    }
    const backend = this.#of('MESH_BACKEND');
    if (backend === undefined) this.because(`MESH_BACKEND is not set: ${defaultBackend}`);
    const via = this.#via(isServer);
    if (via === undefined) return undefined;
    if (tailscale.authKey !== undefined) this.because('TS_AUTHKEY: its key admits this machine');
    if (tailscale.ignored.length > 0) {
      this.because(`TS_EXTRA_ARGS: nothing is done with ${tailscale.ignored.join(' ')}`);
    }
    return {
      name,
      type: type ?? 'node',
      backend: backend ?? defaultBackend,
      via,
      loginServer: tailscale.loginServer ?? (isServer ? undefined : this.#of('VPC_SERVER_URL')),
      statusFolder: this.#of('VPC_SHARED_FOLDER') ?? '/shared',
      uuid: via.kind === 'mesh' ? textOf(this.#place.self?.instanceId) : undefined,
    };
  }

  #via(isServer: boolean): NodePlan['via'] | undefined {
    const direct =
      this.#of('POSTERN_JOIN_SERVER') ?? (isServer ? 'http://127.0.0.1:8000' : undefined);
    const hasKey =
      this.#of('POSTERN_JOIN_TOKEN') !== undefined ||
      this.#of('POSTERN_JOIN_TOKEN_FILE') !== undefined;
    if (direct !== undefined && (hasKey || !isServer)) {
      if (!hasKey) {
        this.problems.push(
          'POSTERN_JOIN_SERVER needs POSTERN_JOIN_TOKEN_FILE: postern key create NAME --join TYPE',
        );
        return undefined;
      }
      this.because(`POSTERN_JOIN_SERVER: it registers at ${direct} with a join key`);
      return { kind: 'direct', server: direct };
    }
    const text = this.#of('VPC_SERVER_APP_ID') ?? 'self';
    const { self } = this.#place;
    if (text === 'self') {
      if (self === undefined) {
        this.problems.push(
          'VPC_SERVER_APP_ID=self, but no guest agent says which app this is: name the app id of the server',
        );
        return undefined;
      }
      this.because(`VPC_SERVER_APP_ID=self: the server is this app, ${self.appId}`);
      return { kind: 'mesh', appId: self.appId, port: registryPort };
    }
    if (!appPattern.test(text.toLowerCase())) {
      this.problems.push(
        `VPC_SERVER_APP_ID=${text} is no app id (40 hexadecimal digits) and not self`,
      );
      return undefined;
    }
    this.because(`VPC_SERVER_APP_ID: it registers at app ${text}, through the mesh`);
    return { kind: 'mesh', appId: text.toLowerCase(), port: registryPort };
  }

  mesh(isServer: boolean, node: NodePlan | undefined): JsonObject {
    const { appraisalFile, kmsRootsFile } = this.#place;
    const domain = this.#of('DSTACK_GATEWAY_DOMAIN');
    const simulator = this.#of('POSTERN_INSECURE_SIMULATOR_ROOT');
    const port = Number((node?.backend ?? '').split(':').at(-1));
    const isLocal = /^(?:127\.0\.0\.1|localhost):\d+$/.test(node?.backend ?? '');
    if (node !== undefined && !isLocal) {
      this.because(
        `MESH_BACKEND=${node.backend} is not on this machine: peers of the mesh are not let through to it`,
      );
    }
    if (appraisalFile === undefined && kmsRootsFile === undefined) {
      this.because(
        'no appraisal.hujson and no kms-roots.pem in the state folder: no peer of the mesh is believed',
      );
    }
    const backend = `127.0.0.1:${port}`;
    return {
      identity: { agent: 'auto' },
      trust: {
        ...(appraisalFile === undefined ? {} : { appraisalFile }),
        ...(kmsRootsFile === undefined ? {} : { kmsRootsFile }),
        ...(simulator === undefined ? {} : { insecureSimulatorRoot: simulator }),
      },
      outbound: domain === undefined ? {} : { gatewayDomain: domain },
      auth: { enabled: true },
      inbound: [
        ...(isServer ? [{ port: registryPort, backend: 'registry' }] : []),
        ...(!isServer && isLocal ? [{ port: registryPort, backend }] : []),
      ],
    };
  }

  policy(): JsonObject {
    return {
      tagOwners: { 'tag:node': [], 'tag:app': [], 'tag:gateway': [] },
      grants: [
        // The network of the original was flat between its nodes; nobody else is on it.
        { src: ['tag:node'], dst: ['tag:node'], ip: ['*'] },
        { src: ['tag:gateway'], dst: ['tag:node'], ip: ['*'] },
        {
          src: this.#apps === 'any' ? ['*'] : ['tag:app'],
          dst: ['*'],
          app: { 'postern.dev/cap/mesh': [{ apps: ['*'], ports: [registryPort] }] },
        },
      ],
    };
  }

  /** A gateway with a key for somebody else's network. */
  joins(): boolean {
    const tailscale = readTailscaleEnv(this.#env);
    if (tailscale.authKey === undefined) return false;
    const where = tailscale.loginServer ?? 'Tailscale';
    this.because(`TS_AUTHKEY: the gateway joins ${where} by itself`);
    return true;
  }
}

function engineOf(url: string | undefined): JsonObject {
  if (url === undefined) return {};
  return url.startsWith('https:') ? { url, tls: 'proxy' } : { url };
}
