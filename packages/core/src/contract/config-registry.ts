import { parsePrefix } from '@postern/core/base/netip';
import { z } from 'zod';
import { secretSourceSchema } from './config-secret.ts';

const healthSchema = z
  .strictObject({
    kind: z.enum(['tcp', 'http']).default('tcp').describe('Connect, or GET and want 2xx.'),
    path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/)
      .max(256)
      .default('/health')
      .describe('Of an http check.'),
    everySeconds: z.number().min(1).max(3_600).default(5),
    timeoutSeconds: z.number().min(0.1).max(60).default(2),
    failures: z
      .int()
      .min(1)
      .max(100)
      .default(2)
      .describe('After as many bad answers in a row a node is failing; one good answer mends it.'),
  })
  .describe('How this process looks at nodes of a type, at the port that they named.');

export const registrySchema = z
  .strictObject({
    address: z
      .string()
      .regex(/^(?:\[[0-9a-fA-F:.]+\]|[^:\s]*):\d{1,5}$|^\d{1,5}$/)
      .optional()
      .describe('Of the control listener. Default 8000 on both loopback addresses.'),
    networks: z
      .array(
        z
          .string()
          .max(64)
          .refine((text) => parsePrefix(text).ok, {
            error: 'this is no prefix, such as 100.64.0.0/10',
          }),
      )
      .min(1)
      .max(64)
      .default(['100.64.0.0/10', 'fd7a:115c:a1e0::/48'])
      .describe('Prefixes in which instances may be: requests are sent there.'),
    rotateKeys: z
      .enum(['never', 'leave', 'change'])
      .default('leave')
      .describe(
        'When the key that the members of a type share is replaced: never, when one leaves, or also when one joins.',
      ),
    allowedApps: z
      .array(z.string().regex(/^[0-9a-f]{40}$/))
      .max(1_000)
      .default([])
      .describe('Attested apps that may register and discover, by app id. Empty: none.'),
    insecureAnyApp: z
      .boolean()
      .default(false)
      .describe(
        'Every app that the mesh verifies may register, whoever wrote it. Not for production.',
      ),
    tags: z
      .array(z.string().regex(/^tag:[A-Za-z][A-Za-z0-9-]{0,62}$/))
      .min(1)
      .max(64)
      .default(['tag:node'])
      .describe('Of machines that join the network by a key of the registry.'),
    health: z
      .record(z.string().regex(/^(?:\*|[A-Za-z0-9][A-Za-z0-9._-]{0,62})$/), healthSchema)
      .default({})
      .describe(
        'By node type; "*" is every other one. Providers that follow the registry pass over nodes that fail.',
      ),
    key: secretSourceSchema
      .optional()
      .describe(
        'At least 32 bytes from which the keys of the types are derived: the same for all gateways that share a store. Default: one of its own in the state folder.',
      ),
    serverUrl: z
      .url()
      .optional()
      .describe('What those machines are told to join. Default: the address of the engine.'),
  })
  .describe('Instances of services by type: who registers, who is found.');

export const discoverSchema = z
  .strictObject({
    nodeType: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
    port: z
      .int()
      .min(1)
      .max(65_535)
      .default(8_000)
      .describe('Where an instance does not name its own.'),
    path: z
      .string()
      .regex(/^(?:\/[A-Za-z0-9._~-]+)*$/)
      .optional()
      .describe('Of the base URL on each instance. Default /v1, for anthropic none.'),
    scheme: z.enum(['http', 'https']).default('http'),
  })
  .optional()
  .describe('Instead of baseUrl: wherever live instances of this type are in the registry.');
