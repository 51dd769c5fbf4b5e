import { readFile } from 'node:fs/promises';
import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { Listener } from '../http/index.ts';
import type { Logger } from '../observe/index.ts';
import type { Watch } from './watch.ts';
import { watchFile } from './watch.ts';

export interface Pair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface PairFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** The certificate files of the public edge; undefined where it has none. */
export function edgeFiles(config: Config): PairFiles | undefined {
  const tls = config.publicEdge?.tls;
  return tls === undefined || tls === 'balancer' ? undefined : tls;
}

export async function readPair(files: PairFiles): Promise<Result<Pair, string>> {
  try {
    const [certificatePem, keyPem] = await Promise.all([
      readFile(files.certificateFile, 'utf8'),
      readFile(files.keyFile, 'utf8'),
    ]);
    return ok({ certificatePem, keyPem });
  } catch (cause) {
    return err(
      `publicEdge.tls: ${cause instanceof Error ? cause.message : 'the files cannot be read'}`,
    );
  }
}

/**
 * Gives the public edge its certificate anew when a file of the pair changes. Two files are never replaced at one
 * instant: a pair that does not fit together leaves the old one in place, and the second change brings the right one.
 * Listeners may come and go meanwhile.
 */
export function watchCertificate(
  files: PairFiles,
  listeners: () => readonly Listener[],
  logger: Logger,
): Watch {
  const where = { certificate: files.certificateFile };
  let serving = '';

  async function renew(): Promise<void> {
    const pair = await readPair(files);
    if (!pair.ok) return refused(pair.error);
    const { certificatePem, keyPem } = pair.value;
    if (serving === certificatePem + keyPem) return;
    try {
      for (const listener of listeners()) listener.renewCertificate(certificatePem, keyPem);
    } catch (cause) {
      return refused(messageOf(cause));
    }
    serving = certificatePem + keyPem;
    logger.info(where, 'certificate renewed');
  }

  function refused(problem: string): void {
    logger.warn({ ...where, problem }, 'certificate not usable; the old one stays');
  }

  const watches = [files.certificateFile, files.keyFile].map((file) =>
    watchFile(
      file,
      () => {
        void renew();
      },
      (message) => logger.warn({ file, message }, 'the certificate is not watched'),
    ),
  );
  return { close: () => watches.forEach((each) => each.close()) };
}
