/**
 * @module Headscale as the engine: its own API from 0.26 to 0.29, the Tailscale API v2 from 0.30.
 *
 * Promises: which of the two is found out, also after an upgrade; a policy is written only over the text that was
 * read, which 0.29 itself does not promise. Refuses: what Headscale keeps in its file (DNS, settings), approvals,
 * releases before 0.26. Limits: those of `control/engine/remote`.
 */
export * from './engine.ts';
