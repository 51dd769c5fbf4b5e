import { assert } from '@postern/core/base';

export const controlLimits = Object.freeze({
  /** Commands that wait for the disk. At a thousand commits a second, the last waits a second. */
  queuedMax: 1_024,
  /** Text that waits with them: sixteen configurations of the largest size. */
  queuedCharsMax: 16 * 1_048_576,
  /** Commands in one transaction: enough that one fsync serves a burst, few enough to decide in a millisecond or two. */
  batchMax: 256,
  /** Text in one transaction. */
  batchCharsMax: 4 * 1_048_576,
  /** Records after which the state is materialised again: a start replays at most about this many. */
  recordsPerMaterialisation: 1_000,
  /** Entries of a large state (keys, nodes and the like) for each record that a start may replay besides: each time all are read and written. */
  entriesPerRecord: 2,
  /** Body of an admin request: a configuration of the largest size, escaped as JSON. */
  bodyBytesMax: 4 * 1_048_576,
});

assert(controlLimits.batchMax <= controlLimits.queuedMax, 'a batch fits the queue');
assert(controlLimits.batchCharsMax <= controlLimits.queuedCharsMax, 'a batch fits the queue');
