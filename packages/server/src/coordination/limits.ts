export const coordinationLimits = Object.freeze({
  /** One request of a machine; tailscaled's largest known (host info with many services) has some 20 kB. */
  bodyBytesMax: 1_048_576,
  /** The same for a machine that is not known: its host info and a key. */
  strangerBodyBytesMax: 131_072,
  /** Bodies under way of all machines that are known: beyond it they are told to come back. */
  bodiesBytesMax: 256 * 1_048_576,
  /** Bodies under way of all that are not, and of those of one source address. */
  strangerBodiesBytesMax: 16 * 1_048_576,
  strangerBodiesPerSourceMax: 4 * 1_048_576,
  /** Connections of machines that are not known; the oldest is closed first. Each costs some 60 kB. */
  strangersMax: 1_000,
  /** How long a body may take to arrive. */
  bodyMsMax: 30_000,
  /** Requests at once on one connection: a client holds one map and a few short ones. */
  streamsPerConnectionMax: 32,
  /** Flow-control window that a client is given for each request. */
  windowBytes: 1_048_576,
  /** What HTTP/2 may hold for one connection, in MB. A full map of ten thousand machines has about 6 MB. */
  sessionMbMax: 64,
  /** A connection without any request is closed. */
  idleMsMax: 600_000,
  /** Handshakes of one source address that may come at once: a site behind one address restarts together. */
  handshakeBurst: 2_000,
  /** And as many again in each second: an X25519 handshake takes about 0.3 ms. */
  handshakesPerSecond: 100,
  /** Sources that are counted; the oldest is forgotten. */
  sourcesMax: 65_536,
  /** Sign-ins that wait for a person. The oldest goes first. */
  pendingMax: 1_000,
  pendingMsMax: 1_800_000,
  /** Of one machine: a client that begins anew has forgotten the key that it asked for before. */
  pendingPerMachine: 1,
  /** Records for certificates that are being set: each is a program that waits for DNS. */
  recordsAtOnce: 16,
  /** How long a machine's request for the outcome is held before it is told to ask again. */
  followUpMsMax: 300_000,
  /** Endpoints that one machine reports. */
  endpointsMax: 64,
  /** What is kept of a host's description of itself, as JSON. */
  hostinfoCharsMax: 16_384,
  /** Unsent bytes of a map stream beyond which the client gets the whole map again instead of every change. */
  backlogBytesMax: 4 * 1_048_576,
  /** Between 50 and 60 s, as clients expect; their own watchdog is 120 s. */
  keepAliveMs: 52_000,
  /** A machine that went away counts as online for so long, since clients reconnect all the time. */
  awayMsMax: 15_000,
  /** Changes that come together are told together. */
  flushMsMin: 25,
  flushMsMax: 800,
  /** How many times as long as it took nothing is told after a telling: at most a ninth of the time is for it. */
  flushRest: 8,
});
