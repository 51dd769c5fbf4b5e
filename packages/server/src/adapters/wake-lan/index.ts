/**
 * @module Wakes a machine by Wake-on-LAN.
 *
 * Promises: the magic packet of AMD's white paper (six octets of FF, the address sixteen times, a SecureOn password
 * where there is one), by UDP, three times. Refuses: knowing whether anybody heard it; nobody answers such a packet.
 */
export * from './wake-lan.ts';
