import type { SourceFile } from './source-files.ts';
import { importsOf } from './source-files.ts';

/** A rule about the code itself that no compiler or linter holds. */
interface Ban {
  readonly pattern: RegExp;
  /** Paths where it does not hold. */
  readonly except: RegExp;
  readonly why: string;
}

const tests = /\.test\.ts$|^test\/|^bench\/|^tools\//;
const bans: readonly Ban[] = [
  {
    pattern: /\bTODO\b|\bFIXME\b|\bXXX\b/,
    except: /^tools\/checks\/tidy/,
    why: 'finish it, or write down what is missing where users read it',
  },
  {
    pattern: /\.reveal\(\)/,
    except:
      /^packages\/server\/src\/adapters\/|^packages\/server\/src\/control\/|^packages\/server\/src\/app\/issuers|^packages\/server\/src\/coordination\/control-key|^packages\/postern\/src\/commands\/key-|\.test\.ts$|^test\//,
    why: 'a secret is revealed at the last moment, in an adapter',
  },
  {
    pattern: /\brejectUnauthorized:\s*false/,
    // The mesh has a verifier of its own, which knows evidence and revocation; OpenSSL's would refuse both.
    except: /\.test\.ts$|^test\/|^bench\/|^packages\/server\/src\/mesh\/handshake\.ts$/,
    why: 'certificates are always verified',
  },
  {
    pattern: /(?<![#.\w])fetch\(/,
    except: /\.test\.ts$|^test\/|^bench\/|^tools\/|app\.fetch\(/,
    why: 'every outbound call goes through the egress function',
  },
  {
    pattern: /\bMath\.random\(|\bDate\.now\(/,
    except:
      /^packages\/server\/src\/(adapters|app)\/|^packages\/postern\/|\.test\.ts$|^test\/|^bench\/|^tools\//,
    why: 'time and randomness are arguments',
  },
  { pattern: /^export default /m, except: /\.config\.ts$/, why: 'named exports only' },
];

/** Who may open a socket: the listener, the way out, clients of local unix sockets, and the packet that wakes a machine. */
const socketModules: readonly string[] = [
  'node:http',
  'node:https',
  'node:net',
  'node:tls',
  'node:dgram',
  'undici',
  'node:http2',
];
// Beside the listener and the ways out: what speaks a protocol of its own over sockets that it was given or guards (the
// coordination server and its relay, both mesh proxies, the datagram socket of STUN).
const socketFolders =
  /^packages\/server\/src\/(http|coordination|mesh|app\/network|adapters\/(egress-socket|egress-peer|mesh-identity|wake-lan|identity-serve|service-systemd|tailnet-[a-z]+|attestor-[a-z]+))\/|^packages\/postern\/src\/client\/|^packages\/postern\/src\/commands\/doctor/;

const fileLinesMax = 500;
/** Tables of data, which are one idea at any length. */
const dataFiles = /\/(errors\/table|provider-builtin\/script)\.ts$/;
const forbiddenNames = /(^|\/)(utils?|helpers?|common|manager|misc)(\.ts|\/)/;

export function tidyFindings(files: readonly SourceFile[]): readonly string[] {
  const findings: string[] = [];
  for (const file of files) {
    for (const ban of bans) {
      if (ban.except.test(file.path)) continue;
      const match = ban.pattern.exec(
        ban.except.test(file.text) && ban.pattern.source.includes('fetch') ? '' : file.text,
      );
      if (match !== null)
        findings.push(
          `${file.path}:${lineOf(file.text, match.index)}: ${match[0].trim()}: ${ban.why}`,
        );
    }
    if (forbiddenNames.test(file.path))
      findings.push(`${file.path}: a name that says nothing; use the noun of what is inside`);
    const lines = file.text.split('\n').length;
    if (
      lines > fileLinesMax &&
      !dataFiles.test(file.path) &&
      !file.path.includes('.generated.') &&
      !tests.test(file.path)
    ) {
      findings.push(
        `${file.path}: ${lines} lines; a file is one idea, ${fileLinesMax} lines at most`,
      );
    }
    if (!tests.test(file.path) && !socketFolders.test(file.path)) {
      for (const imported of importsOf(file.text)) {
        if (socketModules.includes(imported) && !isTypeOnly(file.text, imported)) {
          findings.push(
            `${file.path}: imports ${imported}; sockets are opened by the listener and the egress function only`,
          );
        }
      }
    }
    if (
      /^packages\/(core|server)\/src\/.*\/index\.ts$/.test(file.path) &&
      !file.text.trimStart().startsWith('/**\n * @module')
    ) {
      findings.push(
        `${file.path}: a folder opens with an @module comment that says what it promises and refuses`,
      );
    }
  }
  return findings;
}

function isTypeOnly(text: string, imported: string): boolean {
  const lines = text.split('\n').filter((line) => line.includes(`'${imported}'`));
  return (
    lines.length > 0 &&
    lines.every((line) => /^\s*import type /.test(line) || line.startsWith('} from'))
  );
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
