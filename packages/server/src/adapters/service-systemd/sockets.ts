/** A socket that the service manager opened, by the name that its unit gives it (`FileDescriptorName=`). */
export interface InheritedSocket {
  readonly name: string;
  readonly fd: number;
}

type Env = Readonly<Record<string, string | undefined>>;

/** The first descriptor that systemd hands over (SD_LISTEN_FDS_START). */
const firstFd = 3;
/** A unit with more sockets than this is not one of ours. */
const socketsMax = 64;

/**
 * The sockets of this process; none where `LISTEN_PID` names another one: the variables may have been inherited from a
 * parent that they were meant for. Source: sd_listen_fds(3).
 */
export function inheritedSockets(env: Env, pid: number): readonly InheritedSocket[] {
  if (env['LISTEN_PID'] !== String(pid)) return [];
  const text = env['LISTEN_FDS'] ?? '';
  const count = /^[1-9]\d?$/.test(text) ? Number(text) : 0;
  if (count > socketsMax) return [];
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: count }, (_, index) => ({
    // A unit without names is one with a single socket: the gateway's.
    name: named(names[index]),
    fd: firstFd + index,
  }));
}

function named(name: string | undefined): string {
  return name === undefined || name === '' || name === 'unknown' ? 'gateway' : name;
}
