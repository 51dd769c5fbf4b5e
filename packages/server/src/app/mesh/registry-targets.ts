import type { Instance } from '@postern/core/registry';
import type { Candidate, MeshAddress, ResolveTarget } from '../../mesh/index.ts';

/** The live instances that an app registered itself. */
export type InstancesOfApp = (appId: string) => readonly Instance[];

/** `mesh.443` in the metadata of an instance: the port at which its door for port 443 really listens. */
const portKey = (port: number): string => `mesh.${port}`;

/**
 * Where the registry finds an app: at the addresses of the instances that it registered itself, each time beginning with
 * another one. Nobody else can register for an app, and whoever is at an address still has to prove it.
 */
export function registryTargets(instancesOf: InstancesOfApp): ResolveTarget {
  let turn = 0;
  return async ({ appId, instanceId, port }: MeshAddress) => {
    const known = instancesOf(appId);
    const wanted =
      instanceId === undefined ? known : known.filter(({ uuid }) => isInstance(uuid, instanceId));
    if (wanted.length === 0) return [];
    turn = (turn + 1) % wanted.length;
    return [...wanted.slice(turn), ...wanted.slice(0, turn)].flatMap((each) =>
      candidatesOf(each, port),
    );
  };
}

function candidatesOf({ addresses, metadata }: Instance, port: number): readonly Candidate[] {
  const written = Number(metadata[portKey(port)] ?? port);
  const isPort = Number.isSafeInteger(written) && written > 0 && written <= 65_535;
  return addresses.map((host) => ({ host, port: isPort ? written : port, serverName: undefined }));
}

/** Machines register under the instance id of their agent, as hex or in the form of a UUID. */
function isInstance(uuid: string, instanceId: string): boolean {
  return uuid.replaceAll('-', '').toLowerCase() === instanceId;
}
