/** Reads whose parts are staged: when their copies are used, and when they are forgotten. */
import { describe, expect, it } from 'vitest';
import { expertIndex, layerIndex } from '../../../../src/contract/ids.ts';
import type { RecordParts } from '../../../format/record-parts.ts';
import type { PartReceiver, ReadForm } from '../../../store/store.ts';
import { stagedReads } from './staged-reads.ts';

const record: RecordParts = { byteLength: 8, parts: [new Uint8Array(4), new Uint8Array(4)] };

/** A read that ends when the test says so, and what was staged meanwhile. */
function startRead(stages = true) {
  const log: unknown[] = [];
  const forms: (ReadForm | undefined)[] = [];
  const controller = new AbortController();
  let end = { resolve: (_: RecordParts) => {}, reject: (_: unknown) => {} };
  const read = stagedReads(
    {
      readExpert: (_layer, _expert, _signal, form) => {
        forms.push(form);
        return new Promise((resolve, reject) => {
          end = { resolve, reject };
        });
      },
    },
    {
      bytes: 0,
      upload: () => {},
      destroy: () => {},
      stage: () =>
        stages
          ? { add: (part) => log.push(part), complete: (whole) => log.push(whole), reset: () => log.push('reset') }
          : undefined,
    },
  )(layerIndex(0), expertIndex(0), controller.signal);
  const parts = forms[0]?.parts as PartReceiver;
  return { read, log, forms, parts, abort: () => controller.abort(), end };
}

describe('an expert that is read', () => {
  it('is staged part by part, and is complete before anybody gets it', async () => {
    const { read, log, parts, end } = startRead();
    parts.add(record.parts[1], 1);
    parts.reset();
    for (const [index, part] of record.parts.entries()) parts.add(part, index);
    const seen = read.then(() => [...log]);
    end.resolve(record);
    expect(await seen).toEqual([record.parts[1], 'reset', ...record.parts, record]);
    expect(await read).toBe(record);
  });

  it('is forgotten at once if the read is cancelled, and its later parts are ignored', async () => {
    const { read, log, parts, abort, end } = startRead();
    parts.add(record.parts[0], 0);
    abort();
    expect(log.slice(1)).toEqual(['reset']);
    parts.add(record.parts[1], 1);
    end.resolve(record); // it was too late to cancel it
    await read;
    expect(log.slice(1)).toEqual(['reset']);
  });

  it('is forgotten if the read is cancelled when it has just ended', async () => {
    const { read, log, end, abort } = startRead();
    end.resolve(record);
    await read;
    abort();
    expect(log).toEqual([record, 'reset']);
  });

  it('is forgotten if the read fails', async () => {
    const { read, log, parts, end } = startRead();
    parts.add(record.parts[0], 0);
    end.reject(new Error('damaged'));
    await expect(read).rejects.toThrow('damaged');
    expect(log.slice(1)).toEqual(['reset']);
  });

  it('does not come in parts if nothing stages them', async () => {
    const { read, forms, end } = startRead(false);
    end.resolve(record);
    expect(await read).toBe(record);
    expect(forms).toEqual([undefined]);
  });
});
