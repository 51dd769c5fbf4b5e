/**
 * @module A tailscaled of our own: a child process in userspace mode, which needs neither root nor a network device.
 *
 * Promises: one at a time on one state folder, also after we were killed; an environment without our secrets; started
 * again when it ends, slower each time and not for ever; ended with us. Refuses: logging in, reading what it prints
 * beyond the log.
 */
export * from './daemon.ts';
