import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { NginxPlan } from '../../mesh/index.ts';
import { nginxClientProxy, nginxProblem, nginxServerProxy } from '../../mesh/index.ts';

/** The two files of nginx, by the names that the original gave them. */
export function meshNginxFiles(
  plan: NginxPlan,
): Result<Readonly<Record<'nginx-client-proxy.conf' | 'nginx-server-proxy.conf', string>>, string> {
  const problem = nginxProblem(plan);
  if (problem !== undefined) return err(problem);
  return ok({
    'nginx-client-proxy.conf': nginxClientProxy(plan),
    'nginx-server-proxy.conf': nginxServerProxy(plan),
  });
}
