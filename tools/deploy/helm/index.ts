/**
 * @module Judges what a chart renders: pods that can do little, replicas that share no file, traffic that is named. It
 * takes the rendered documents; their shape is held to Kubernetes' own schemas by the tests.
 */
export type { HelmRule, KubernetesObject } from './rules.ts';
export { helmRules } from './rules.ts';
