/**
 * @module What systemd tells a service by its environment, and what the service tells systemd: sockets that were opened for it
 * (sd_listen_fds(3)), readiness and signs of life (sd_notify(3)). It refuses sockets that were meant for another process,
 * and it never fails the service: a manager that cannot be told is a line in the log. It also asks the manager of the machine, over
 * its bus, to start another unit anew, and reads from it when that was.
 */
export type { InheritedSocket } from './sockets.ts';
export { inheritedSockets } from './sockets.ts';
export type { ServiceManager, ServiceManagerOptions } from './notify.ts';
export { createServiceManager, systemdNotify } from './notify.ts';
