import type { DestinationStream, Logger } from 'pino';
import { pino } from 'pino';
import { describeLine } from './plain-line.ts';

export type { Logger } from 'pino';

/** `json`: one object a line, for collectors. `plain`: one short line a person can read. */
export type LogFormat = 'json' | 'plain';

export interface LogOptions {
  readonly level: string;
  readonly format: LogFormat;
  readonly write: (line: string) => void;
}

/**
 * The log of the process: events, that is a static lower-case message and fields. Secrets do not print because they
 * are a type; this list is the second net, for headers that somebody logs whole.
 */
const redacted = [
  'authorization',
  'headers.authorization',
  'headers["x-api-key"]',
  'headers.cookie',
  'key',
  'secret',
  'token',
];

export function createLogger(options: LogOptions): Logger {
  const destination: DestinationStream = {
    write: (line) => {
      options.write(options.format === 'json' ? line : describeLine(line));
    },
  };
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      messageKey: 'msg',
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redacted, censor: '[secret]' },
    },
    destination,
  );
  destinations.set(logger, destination);
  return logger;
}

const destinations = new WeakMap<Logger, DestinationStream>();

/**
 * Where a logger's lines of level `info` go, for the one kind of line that is written by hand. Undefined: nowhere, or
 * not that way (a child, another kind of logger).
 */
export function infoLinesOf(logger: Logger): DestinationStream | undefined {
  return logger.isLevelEnabled('info') ? destinations.get(logger) : undefined;
}
