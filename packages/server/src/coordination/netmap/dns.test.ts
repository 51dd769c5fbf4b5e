import { defaultDns } from '@postern/core/state';
import { expect, test } from 'vitest';
import { dnsTextOf } from './dns.ts';

const records = (text: string): unknown => {
  const { ExtraRecords } = JSON.parse(text) as { ExtraRecords: unknown };
  return ExtraRecords;
};

test('what machines serve has a name below svc, with each address in its family', () => {
  const text = dnsTextOf(
    defaultDns,
    'mesh.internal',
    [],
    [
      { label: 'instant', address: '100.64.0.3' },
      { label: 'instant', address: 'fd7a:115c:a1e0::3' },
    ],
  );
  expect(records(text)).toEqual([
    { Name: 'instant.svc.mesh.internal', Type: 'A', Value: '100.64.0.3' },
    { Name: 'instant.svc.mesh.internal', Type: 'AAAA', Value: 'fd7a:115c:a1e0::3' },
  ]);
});

test('what an operator wrote under such a name stands alone', () => {
  const extraRecords = [
    { name: 'instant.svc.mesh.internal', type: 'A', value: '10.0.0.1' },
  ] as const;
  const services = [
    { label: 'instant', address: '100.64.0.3' },
    { label: 'thinking', address: '100.64.0.4' },
  ];
  expect(
    records(dnsTextOf({ ...defaultDns, extraRecords }, 'mesh.internal', [], services)),
  ).toEqual([
    { Name: 'instant.svc.mesh.internal', Type: 'A', Value: '10.0.0.1' },
    { Name: 'thinking.svc.mesh.internal', Type: 'A', Value: '100.64.0.4' },
  ]);
});
