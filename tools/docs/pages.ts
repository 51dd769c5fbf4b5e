import { configJsonSchema } from '@postern/core/contract';
import { openApiDocument } from '@postern/server/control/api';
import { registryOpenApi } from '@postern/server/control/registry/api';
import { cliPage } from './cli-page.ts';
import { configPage } from './config-page.ts';
import { enginesPage } from './engines-page.ts';
import { checklistPage, incidentPage, troubleshootingPage } from './findings-page.ts';
import { errorsPage } from './errors-page.ts';
import { formatsPage } from './formats-page.ts';
import { httpPage } from './http-page.ts';
import { limitsPage } from './limits-page.ts';
import { mcpPage } from './mcp-page.ts';
import { metricsPage } from './metrics-page.ts';

/** Every generated page: path to text. */
export function pages(): Readonly<Record<string, string>> {
  return {
    'docs/reference/errors.md': errorsPage(),
    'docs/reference/config.md': configPage(),
    'docs/reference/engines.md': enginesPage(),
    'docs/reference/config.schema.json': `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
    'docs/reference/cli.md': cliPage(),
    'docs/reference/formats.md': formatsPage(),
    'docs/reference/http-api.md': httpPage(),
    'docs/reference/checklist.md': checklistPage(),
    'docs/reference/incident-steps.md': incidentPage(),
    'docs/reference/troubleshooting.md': troubleshootingPage(),
    'docs/reference/limits.md': limitsPage(),
    'docs/reference/mcp-tools.md': mcpPage(),
    'docs/reference/metrics.md': metricsPage(),
    'docs/reference/registry-openapi.json': `${JSON.stringify(registryOpenApi(), null, 2)}\n`,
    'docs/reference/openapi.json': `${JSON.stringify(openApiDocument(), null, 2)}\n`,
  };
}
