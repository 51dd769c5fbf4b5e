import type { ComposeFile } from './file.ts';
import { readCompose } from './file.ts';

/** Options of `docker run` and the field of a Compose service that says the same; `true`: it is there or not. */
const fields: Readonly<Record<string, readonly [field: string, isSwitch: boolean]>> = {
  '-e': ['environment', false],
  '--env': ['environment', false],
  '-v': ['volumes', false],
  '--volume': ['volumes', false],
  '-p': ['ports', false],
  '--publish': ['ports', false],
  '--cap-add': ['cap_add', false],
  '--cap-drop': ['cap_drop', false],
  '--security-opt': ['security_opt', false],
  '--device': ['devices', false],
  '--tmpfs': ['tmpfs', false],
  '-u': ['user', false],
  '--user': ['user', false],
  '--network': ['network_mode', false],
  '--memory': ['mem_limit', false],
  '--pids-limit': ['pids_limit', false],
  '--name': ['container_name', false],
  '--privileged': ['privileged', true],
  '--read-only': ['read_only', true],
};

const lists = new Set([
  'environment',
  'volumes',
  'ports',
  'cap_add',
  'cap_drop',
  'security_opt',
  'devices',
  'tmpfs',
]);

/** Reads one `docker run` as people write it in a guide, as the Compose service that it amounts to. */
export function readDockerRun(command: string): ComposeFile {
  const words = command.replaceAll('\\\n', ' ').trim().split(/\s+/u).slice(2);
  const service: Record<string, unknown> = {};
  while (words.length > 0) {
    const word = words.shift() ?? '';
    if (!word.startsWith('-')) {
      service['image'] = word;
      break;
    }
    const [name = '', inline] = word.split(/=(.*)/su);
    const field = fields[name];
    if (field === undefined) continue;
    const value = field[1] ? true : (inline ?? words.shift() ?? '');
    const before = service[field[0]];
    service[field[0]] = lists.has(field[0])
      ? [...(Array.isArray(before) ? (before as unknown[]) : []), value]
      : value;
  }
  return readCompose({ services: { container: service } });
}
