/** Everything that is promised of the way out, of the one over sockets of our own. */
import { takeWay } from './egress-fixture.ts';

takeWay('sockets');
await import('./egress.test.ts');
await import('./egress-upstream.test.ts');
