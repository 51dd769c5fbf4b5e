import { describeEngine } from './contract.ts';
import { startEmbedded } from './embedded-engine.ts';

describeEngine('embedded', startEmbedded);
