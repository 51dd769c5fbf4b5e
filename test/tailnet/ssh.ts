import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import type { StockClient } from './stock-client.ts';

export function hasSsh(): boolean {
  try {
    execFileSync('ssh', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export interface SshSession {
  /** What it has shown so far. */
  said(): string;
  readonly ended: Promise<{ readonly code: number | null; readonly out: string }>;
}

/** A session that says `in` and who it is, and ends. */
export function sshInto(client: StockClient, target: string, seconds = 40): SshSession {
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes'];
  const words = [...options, 'ConnectTimeout=30'].flatMap((option) => ['-o', option]);
  const child = client.place.start([
    'timeout',
    String(seconds),
    'ssh',
    ...words,
    target,
    'echo in && id -un',
  ]);
  let out = '';
  let shown = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (shown += text));
  const ended = once(child, 'close').then(([code]) => ({ code: Number(code), out }));
  return { said: () => out + shown, ended };
}
