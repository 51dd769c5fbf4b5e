import { execFile } from 'node:child_process';

/** The service manager, as far as a service speaks to it. Every call returns at once. */
export interface ServiceManager {
  /** Everything is open; the text is what `systemctl status` shows. */
  ready(status: string): void;
  reloading(): void;
  stopping(status: string): void;
  /** Ends the signs of life. */
  close(): void;
}

export interface ServiceManagerOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Is the process well? Asked before each sign of life; a process that is not gets none and is restarted. */
  readonly isAlive: () => boolean;
  readonly tell: (lines: readonly string[]) => void;
  readonly every: (ms: number, callback: () => void) => { clear(): void };
  /** Microseconds since some moment that does not change: `RELOADING=1` needs it (sd_notify(3)). */
  readonly monotonicUs: () => bigint;
}

/** The manager that started this process; undefined where there is none to tell. */
export function createServiceManager(options: ServiceManagerOptions): ServiceManager | undefined {
  const { env, tell, every, isAlive } = options;
  if ((env['NOTIFY_SOCKET'] ?? '') === '') return undefined;
  const periodMs = watchdogMs(options);
  const signs =
    periodMs === undefined
      ? undefined
      : every(periodMs, () => {
          if (isAlive()) tell(['WATCHDOG=1']);
        });
  return {
    ready: (status) => tell(['READY=1', `STATUS=${oneLine(status)}`]),
    reloading: () => tell(['RELOADING=1', `MONOTONIC_USEC=${options.monotonicUs()}`]),
    stopping: (status) => {
      signs?.clear();
      tell(['STOPPING=1', `STATUS=${oneLine(status)}`]);
    },
    close: () => signs?.clear(),
  };
}

/** Half of what systemd waits for, as sd_watchdog_enabled(3) advises; undefined where it waits for nothing of ours. */
function watchdogMs({ env, pid }: ServiceManagerOptions): number | undefined {
  const us = Number(env['WATCHDOG_USEC']);
  const meant = env['WATCHDOG_PID'];
  if (!Number.isSafeInteger(us) || us < 2_000) return undefined;
  if (meant !== undefined && meant !== '' && meant !== String(pid)) return undefined;
  return Math.floor(us / 2_000);
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/gu, ' ');
}

/**
 * Tells systemd by its own small program: Node opens no datagram sockets of the unix family. The unit therefore says
 * `NotifyAccess=all`.
 */
export function systemdNotify(
  onProblem: (message: string) => void,
): (lines: readonly string[]) => void {
  return (lines) => {
    const child = execFile('systemd-notify', [...lines], { timeout: 5_000 }, (cause) => {
      if (cause !== null) onProblem(`systemd could not be told: ${cause.message}`);
    });
    child.unref();
  };
}
