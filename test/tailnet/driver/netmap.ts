/** The fields of a map response that tests look at (tailcfg.MapResponse). */
export interface MapResponse {
  readonly KeepAlive?: boolean;
  readonly Node?: MapNode;
  readonly Peers?: readonly MapNode[];
  readonly PeersChanged?: readonly MapNode[];
  readonly PeersRemoved?: readonly number[];
  readonly PeersChangedPatch?: readonly PeerPatch[];
  readonly OnlineChange?: Readonly<Record<string, boolean>>;
  readonly PeerSeenChange?: Readonly<Record<string, boolean>>;
  readonly DERPMap?: { readonly Regions?: Readonly<Record<string, unknown>> };
  readonly DNSConfig?: Readonly<Record<string, unknown>>;
  readonly Domain?: string;
  readonly PacketFilter?: readonly unknown[];
  readonly PacketFilters?: Readonly<Record<string, readonly unknown[] | null>>;
  readonly SSHPolicy?: Readonly<Record<string, unknown>>;
  readonly UserProfiles?: readonly { readonly ID: number; readonly LoginName: string }[];
  readonly PingRequest?: { readonly URL: string };
}

export interface MapNode {
  readonly ID: number;
  readonly StableID: string;
  readonly Name: string;
  readonly User: number;
  readonly Key: string;
  readonly DiscoKey?: string;
  readonly Addresses?: readonly string[];
  readonly AllowedIPs?: readonly string[];
  readonly Endpoints?: readonly string[];
  readonly PrimaryRoutes?: readonly string[];
  readonly Tags?: readonly string[];
  readonly Online?: boolean;
  readonly KeyExpiry?: string;
  readonly HomeDERP?: number;
  readonly MachineAuthorized?: boolean;
  readonly CapMap?: Readonly<Record<string, unknown>>;
}

export interface PeerPatch {
  readonly NodeID: number;
  readonly DERPRegion?: number;
  readonly Endpoints?: readonly string[];
  readonly Key?: string;
  readonly DiscoKey?: string;
  readonly Online?: boolean;
  readonly KeyExpiry?: string;
}

/** The network as a client has learned it, built from a full map and deltas by the rules of a stock client. */
export class Netmap {
  self: MapNode | undefined;
  readonly peers: Map<number, MapNode> = new Map();
  readonly users: Map<number, string> = new Map();
  readonly filters: Map<string, readonly unknown[]> = new Map();
  derpRegions: Readonly<Record<string, unknown>> = {};
  dns: Readonly<Record<string, unknown>> | undefined;
  ssh: Readonly<Record<string, unknown>> | undefined;
  domain = '';
  /** Responses of each kind so far. */
  fulls = 0;
  deltas = 0;
  keepAlives = 0;
  isOver = false;
  /** The status of a refused stream. */
  refused: number | undefined;
  /** Broken rules of the protocol: a stock client would ignore or log them. */
  readonly violations: string[] = [];

  apply(response: MapResponse): void {
    if (response.KeepAlive === true) {
      this.keepAlives += 1;
      return;
    }
    if (this.fulls + this.deltas === 0 && response.Node === undefined) {
      this.violations.push('the first response has no Node');
    }
    if (response.Node !== undefined) this.self = response.Node;
    for (const { ID, LoginName } of response.UserProfiles ?? []) this.users.set(ID, LoginName);
    if (response.Peers !== undefined) this.#full(response.Peers);
    else this.deltas += 1;
    for (const peer of response.PeersChanged ?? []) this.#put(peer);
    for (const id of response.PeersRemoved ?? []) this.peers.delete(id);
    for (const patch of response.PeersChangedPatch ?? []) this.#patch(patch);
    for (const [id, Online] of Object.entries(response.OnlineChange ?? {})) {
      this.#patch({ NodeID: Number(id), Online });
    }
    this.#settings(response);
  }

  peer(name: string): MapNode | undefined {
    for (const peer of this.peers.values()) if (peer.Name.split('.')[0] === name) return peer;
    return undefined;
  }

  summary(): string {
    const names = [...this.peers.values()].slice(0, 10).map(({ Name }) => Name);
    const counts = `${this.fulls} full, ${this.deltas} deltas, ${this.keepAlives} keepalives`;
    return `${this.peers.size} peers (${names.join(' ')}), ${counts}, refused ${this.refused}, over ${this.isOver}`;
  }

  #full(peers: readonly MapNode[]): void {
    this.fulls += 1;
    this.peers.clear();
    let last = 0;
    for (const peer of peers) {
      if (peer.ID <= last) this.violations.push(`peers out of order at ${peer.ID}`);
      last = peer.ID;
      this.#put(peer);
    }
  }

  #put(peer: MapNode): void {
    if (!peer.Name.endsWith('.')) this.violations.push(`name without dot: ${peer.Name}`);
    if (!this.users.has(peer.User)) this.violations.push(`unknown user ${peer.User}`);
    this.peers.set(peer.ID, peer);
  }

  #patch({ NodeID, DERPRegion, ...rest }: PeerPatch): void {
    const peer = this.peers.get(NodeID);
    if (peer === undefined) {
      this.violations.push(`patch of unknown peer ${NodeID}`);
      return;
    }
    const home = DERPRegion === undefined ? {} : { HomeDERP: DERPRegion };
    this.peers.set(NodeID, { ...peer, ...rest, ...home });
  }

  #settings(response: MapResponse): void {
    if (response.DERPMap?.Regions !== undefined) this.derpRegions = response.DERPMap.Regions;
    if (response.DNSConfig !== undefined) this.dns = response.DNSConfig;
    if (response.SSHPolicy !== undefined) this.ssh = response.SSHPolicy;
    if (response.Domain !== undefined) this.domain = response.Domain;
    if (response.PacketFilter !== undefined) this.filters.set('base', response.PacketFilter);
    for (const [name, rules] of Object.entries(response.PacketFilters ?? {})) {
      if (name === '*') this.filters.clear();
      else if (rules === null) this.filters.delete(name);
      else this.filters.set(name, rules);
    }
  }
}
