/** Name constraints (RFC 5280 4.2.1.10 and 6.1.3 b, c). What cannot be judged is refused. */
import { equalBytes } from '../../base/index.ts';
import type { Certificate } from './certificate.ts';
import type { NameConstraints } from './extension.ts';
import type { GeneralName, NameSubtree } from './general-name.ts';
import { isDnsName, isSameMailbox, parseMailbox, uriHost } from './identifier.ts';
import type { DistinguishedName } from './name.ts';
import { attributeTexts } from './name.ts';
import { attributeOid, smtpUtf8MailboxOid } from './oid.ts';
import { type X509Refusal, refuse } from './refusal.ts';
import { x509Limits } from './limits.ts';

type Side = 'permitted' | 'excluded';

/** Constraints gathered on the way from the anchor down, and what checking them has cost so far. */
export class ConstraintState {
  readonly #sets: NameConstraints[] = [];
  #comparisons = 0;

  /** From here on, names must meet these constraints too. */
  add(constraints: NameConstraints | undefined): void {
    if (constraints !== undefined) this.#sets.push(constraints);
  }

  /** The first name of the certificate that a constraint forbids. */
  violation(certificate: Certificate): X509Refusal | undefined {
    if (this.#sets.length === 0) return undefined;
    for (const name of constrainedNames(certificate)) {
      for (const set of this.#sets) {
        const refusal = this.#check(name, set);
        if (refusal !== undefined) return refusal;
      }
    }
    return undefined;
  }

  #check(name: GeneralName, set: NameConstraints): X509Refusal | undefined {
    this.#comparisons += set.permitted.length + set.excluded.length;
    if (this.#comparisons > x509Limits.nameComparisonsMax) {
      return refuse('too-complex', 'too many names and name constraints').error;
    }
    const excluded = set.excluded.filter((subtree) => isSameForm(name, subtree));
    if (excluded.some((subtree) => isWithin(name, subtree, 'excluded'))) {
      return refuse('name-constraint', `${nameText(name)} is excluded`).error;
    }
    const permitted = set.permitted.filter((subtree) => isSameForm(name, subtree));
    if (permitted.length === 0) return undefined;
    if (permitted.some((subtree) => isWithin(name, subtree, 'permitted'))) return undefined;
    return refuse('name-constraint', `${nameText(name)} is not permitted`).error;
  }
}

/** Alternative names, the subject, and e-mail addresses in the subject (RFC 5280 4.2.1.10). */
function constrainedNames(certificate: Certificate): readonly GeneralName[] {
  const names: GeneralName[] = [...(certificate.subjectAltNames ?? [])];
  if (!certificate.subject.isEmpty) names.push({ kind: 'directory', name: certificate.subject });
  for (const value of attributeTexts(certificate.subject, attributeOid.emailAddress)) {
    names.push({ kind: 'email', value });
  }
  return names;
}

function isSameForm(name: GeneralName, subtree: NameSubtree): boolean {
  if (name.kind === 'ip' && subtree.kind === 'ip') {
    return name.address.length === subtree.address.length;
  }
  if (name.kind === 'other' && name.oid === smtpUtf8MailboxOid && subtree.kind === 'email') {
    return true;
  }
  if (name.kind === 'other' && subtree.kind === 'other') return name.oid === subtree.oid;
  if (name.kind === 'unsupported' && subtree.kind === 'unsupported') {
    return name.tag === subtree.tag;
  }
  return name.kind === subtree.kind;
}

/**
 * Whether a name is within a subtree. For a name that is a set (a wildcard), `permitted` asks for the
 * whole set and `excluded` for any of it. A form that cannot be compared is on the refusing side.
 */
function isWithin(name: GeneralName, subtree: NameSubtree, side: Side): boolean {
  const cannotTell = side === 'excluded';
  if (name.kind === 'dns' && subtree.kind === 'dns') {
    return isDnsWithin(name.value, subtree.value, side);
  }
  if (name.kind === 'email' && subtree.kind === 'email') {
    return isEmailWithin(name.value, subtree.value) ?? cannotTell;
  }
  if (name.kind === 'uri' && subtree.kind === 'uri') {
    const host = uriHost(name.value);
    return host === undefined || !isDnsName(host)
      ? cannotTell
      : isHostWithin(host, subtree.value.toLowerCase());
  }
  if (name.kind === 'ip' && subtree.kind === 'ip') {
    return equalBytes(masked(name.address, subtree.mask), masked(subtree.address, subtree.mask));
  }
  if (name.kind === 'directory' && subtree.kind === 'directory') {
    return isDirectoryWithin(name.name, subtree.name);
  }
  return cannotTell;
}

function isDnsWithin(presented: string, base: string, side: Side): boolean {
  const pattern = presented.toLowerCase();
  const subtree = base.toLowerCase();
  const isWildcard = pattern.startsWith('*.');
  const name = isWildcard ? pattern.slice(2) : pattern;
  if (isBelow(name, subtree)) return true;
  // One label may stand for the wildcard, so a subtree one label below is partly covered.
  return (
    isWildcard &&
    side === 'excluded' &&
    subtree.endsWith(`.${name}`) &&
    !subtree.slice(0, -name.length - 1).includes('.')
  );
}

function isBelow(name: string, subtree: string): boolean {
  return subtree === '' || name === subtree || name.endsWith(`.${subtree}`);
}

/** A constraint with `@` is one mailbox, with a leading period the hosts of a domain, else a host. */
function isEmailWithin(address: string, constraint: string): boolean | undefined {
  const mailbox = parseMailbox(address);
  if (mailbox === undefined) return undefined;
  const exact = parseMailbox(constraint);
  return exact === undefined
    ? isHostWithin(mailbox.host, constraint.toLowerCase())
    : isSameMailbox(mailbox, exact);
}

function isHostWithin(host: string, constraint: string): boolean {
  return constraint.startsWith('.') ? host.endsWith(constraint) : host === constraint;
}

function masked(address: Uint8Array, mask: Uint8Array): Uint8Array {
  return address.map((octet, index) => octet & (mask[index] ?? 0));
}

function isDirectoryWithin(name: DistinguishedName, subtree: DistinguishedName): boolean {
  return subtree.canonicalRdns.every((rdn, index) => rdn === name.canonicalRdns[index]);
}

function nameText(name: GeneralName): string {
  switch (name.kind) {
    case 'dns':
    case 'email':
    case 'uri':
      return `${name.kind} name ${name.value}`;
    case 'directory':
      return `directory name ${name.name.canonical}`;
    case 'ip':
      return 'IP address';
    case 'other':
    case 'registered':
    case 'unsupported':
      return `name of form ${name.kind}`;
  }
}
