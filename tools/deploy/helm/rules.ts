/** A rendered document, as far as rules read it. */
export interface KubernetesObject {
  readonly kind: string;
  readonly spec?: Fields;
  readonly data?: Readonly<Record<string, string>>;
}

type Fields = Readonly<Record<string, unknown>>;

/** A rule for rendered charts. It gives one sentence for each thing that breaks it. */
export interface HelmRule {
  readonly name: string;
  readonly why: string;
  check(objects: readonly KubernetesObject[]): readonly string[];
}

const fields = (value: unknown): Fields =>
  // Parsed YAML: what is no object has no fields.
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const list = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fields) : []);
const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, key) => fields(inner)[key], value);

function pods(objects: readonly KubernetesObject[]): readonly Fields[] {
  return objects
    .filter(({ kind }) => kind === 'Deployment')
    .map(({ spec }) => fields(at(spec, 'template', 'spec')));
}

function containers(objects: readonly KubernetesObject[]): readonly Fields[] {
  return pods(objects).flatMap((pod) => list(pod['containers']));
}

/** A rule that holds for each container. */
function perContainer(name: string, why: string, holds: (each: Fields) => boolean): HelmRule {
  return {
    name,
    why,
    check: (objects) =>
      containers(objects)
        .filter((each) => !holds(each))
        .map((each) => `${String(each['name'])}: ${why}`),
  };
}

/** A rule that holds for each pod. */
function perPod(name: string, why: string, holds: (pod: Fields) => boolean): HelmRule {
  return {
    name,
    why,
    check: (objects) => (pods(objects).every(holds) ? [] : [why]),
  };
}

function configOf(objects: readonly KubernetesObject[]): Fields {
  const text = objects.find(({ kind }) => kind === 'ConfigMap')?.data?.['postern.hujson'] ?? '{}';
  return fields(JSON.parse(text));
}

export const helmRules: readonly HelmRule[] = [
  perPod('not-root', 'The pod runs as a user that is not root.', (pod) => {
    const context = fields(pod['securityContext']);
    return context['runAsNonRoot'] === true && Number(context['runAsUser']) > 0;
  }),
  perPod(
    'seccomp',
    'System calls are filtered.',
    (pod) => at(pod, 'securityContext', 'seccompProfile', 'type') === 'RuntimeDefault',
  ),
  perPod(
    'no-cluster-credential',
    'The gateway has no business with the cluster’s API.',
    (pod) => pod['automountServiceAccountToken'] === false,
  ),
  perPod(
    'no-host',
    'The pod shares nothing with its host.',
    (pod) =>
      !['hostNetwork', 'hostPID', 'hostIPC'].some((key) => pod[key] === true) &&
      list(pod['volumes']).every((volume) => volume['hostPath'] === undefined),
  ),
  perPod('time-to-drain', 'Open answers may end before the pod is killed.', (pod) => {
    const graceSeconds = Number(pod['terminationGracePeriodSeconds'] ?? 30);
    return graceSeconds >= 20;
  }),
  perContainer(
    'read-only-root',
    'What cannot be written cannot be changed.',
    (each) => at(each, 'securityContext', 'readOnlyRootFilesystem') === true,
  ),
  perContainer('no-capabilities', 'Nothing here needs a capability.', (each) => {
    const dropped = at(each, 'securityContext', 'capabilities', 'drop');
    const added = at(each, 'securityContext', 'capabilities', 'add');
    return Array.isArray(dropped) && dropped.includes('ALL') && added === undefined;
  }),
  perContainer(
    'no-escalation',
    'A set-uid program helps nobody.',
    (each) => at(each, 'securityContext', 'allowPrivilegeEscalation') === false,
  ),
  perContainer('image-has-a-version', 'A moving tag runs what nobody tried.', (each) =>
    /@sha256:[0-9a-f]{64}$|:v?\d+\.\d+\.\d+/u.test(String(each['image'])),
  ),
  perContainer('memory-is-bounded', 'One pod does not starve its host.', (each) =>
    Boolean(at(each, 'resources', 'limits', 'memory')),
  ),
  perContainer(
    'is-probed',
    'A pod that is not ready gets no traffic; one that hangs is restarted.',
    (each) =>
      at(each, 'readinessProbe', 'httpGet', 'path') === '/readyz' &&
      at(each, 'livenessProbe', 'httpGet', 'path') === '/livez',
  ),
  perContainer(
    'no-secret-in-variables',
    'Secrets are mounted files: variables are seen by every process.',
    (each) =>
      list(each['env']).every((entry) => at(entry, 'valueFrom', 'secretKeyRef') === undefined),
  ),
  {
    name: 'replicas-share-their-state',
    why: 'Money and limits hold over all replicas only where they are shared.',
    check: (objects) => {
      const { store } = configOf(objects);
      return at(store, 'postgres', 'url') === undefined || at(store, 'valkey', 'url') === undefined
        ? ['the replicas count and spend each for itself']
        : [];
    },
  },
  {
    name: 'only-the-balancer-comes-in',
    why: 'The port is for the balancer; whoever else connects is closed.',
    check: (objects) => {
      const edge = configOf(objects)['publicEdge'];
      return at(edge, 'tls') === 'balancer' ? [] : ['the port believes whoever connects'];
    },
  },
  {
    name: 'traffic-is-named',
    why: 'Who comes in and where the gateway goes is a list; the rest is refused.',
    check: (objects) => {
      const policy = objects.find(({ kind }) => kind === 'NetworkPolicy')?.spec;
      if (policy === undefined) return ['nothing bounds the traffic'];
      const types = policy['policyTypes'];
      const isBoth = Array.isArray(types) && types.includes('Ingress') && types.includes('Egress');
      const rules = [...list(policy['ingress']), ...list(policy['egress'])];
      const named = rules.every(
        (rule) => list(rule['from'] ?? rule['to']).length > 0 && list(rule['ports']).length > 0,
      );
      const open = list(policy['egress']).some((rule) =>
        list(rule['to']).some(
          (peer) =>
            at(peer, 'ipBlock', 'cidr') === '0.0.0.0/0' &&
            !listOfText(at(peer, 'ipBlock', 'except')).includes('169.254.0.0/16'),
        ),
      );
      return [
        ...(isBoth ? [] : ['one direction is not bounded']),
        ...(named ? [] : ['a rule names no peer or no port']),
        ...(open ? ['the metadata service of the cloud is reachable'] : []),
      ];
    },
  },
  {
    name: 'stays-up-while-nodes-go',
    why: 'A drained node takes one replica at a time.',
    check: (objects) =>
      objects.some(({ kind }) => kind === 'PodDisruptionBudget')
        ? []
        : ['a drained node may take every replica'],
  },
];

function listOfText(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
