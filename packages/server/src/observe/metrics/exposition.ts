import type { Buckets } from './buckets.ts';
import type { MetricName } from './table.ts';
import { metricRows } from './table.ts';

/** What `text/plain; version=0.0.4` is called: the format that every scraper reads. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

/** Takes values while a scrape is answered. Labels are in the order of the table. */
export interface Sheet {
  put(name: MetricName, value: number, ...labels: readonly string[]): void;
  histogram(name: MetricName, buckets: Buckets, ...labels: readonly string[]): void;
}

/** Says what it knows now. */
export type MetricSource = (sheet: Sheet) => void | Promise<void>;

/** Series of one metric beyond this are left out: the last net, should a source forget its own bound. */
const seriesPerMetricMax = 2_000;

/** One scrape: every source is asked, then the text is written, metrics in the order of the table. */
export async function scrape(sources: readonly MetricSource[]): Promise<string> {
  const pages = new Map<MetricName, string[]>();
  const series = new Map<MetricName, number>();
  const room = (name: MetricName): boolean => {
    const used = series.get(name) ?? 0;
    series.set(name, used + 1);
    return used < seriesPerMetricMax;
  };
  const lines = (name: MetricName): string[] => {
    const page = pages.get(name) ?? [];
    pages.set(name, page);
    return page;
  };
  const sheet: Sheet = {
    put: (name, value, ...labels) => {
      if (room(name)) lines(name).push(`${name}${labelText(name, labels)} ${numberText(value)}`);
    },
    histogram: (name, buckets, ...labels) => {
      if (room(name)) lines(name).push(...histogramLines(name, buckets, labels));
    },
  };
  for (const source of sources) {
    // oxlint-disable-next-line no-await-in-loop -- sources are few, and most of them do not wait
    await source(sheet);
  }
  return Object.entries(metricRows)
    .flatMap(([name, { help, type }]) => {
      // The keys of the table are its names.
      const page = pages.get(name as MetricName);
      return page === undefined
        ? []
        : [`# HELP ${name} ${help}.`, `# TYPE ${name} ${type}`, ...page];
    })
    .map((line) => `${line}\n`)
    .join('');
}

function histogramLines(
  name: MetricName,
  { bounds, counts, sum }: Buckets,
  labels: readonly string[],
): string[] {
  let total = 0;
  const lines = [...bounds, Number.POSITIVE_INFINITY].map((bound, index) => {
    total += counts[index] ?? 0;
    return `${name}_bucket${labelText(name, labels, numberText(bound))} ${numberText(total)}`;
  });
  const own = labelText(name, labels);
  return [...lines, `${name}_sum${own} ${numberText(sum)}`, `${name}_count${own} ${total}`];
}

function labelText(name: MetricName, values: readonly string[], bound?: string): string {
  const pairs = metricRows[name].labels.map(
    (label, index) => `${label}="${escaped(values[index] ?? '')}"`,
  );
  if (bound !== undefined) pairs.push(`le="${bound}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
