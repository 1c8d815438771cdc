/** Budgets on fakes of GPUs, each of which promises something else than it holds. */
import { describe, expect, it, vi } from 'vitest';
import { type BudgetAdapter, gpuBudgetOf, memoryKind, probePlan } from './automatic-budget.ts';
import { findMemory, holdsAll, measureFirstPiece, type ProbedMemory, rateOf, readRateOf } from './measured-memory.ts';

const GB = 1e9;
const MIXTRAL = 26 * GB;
/** How much higher than the truth a rate may be: see `rateOf`. */
const MOST_OVER = 1.25;

interface FakeGpu {
  /** Bytes per second. */
  rate: number;
  /** Bytes after which allocations are refused. */
  refusedAfter?: number;
  /** Bytes that one submission can use. */
  failsAfter?: number;
  /** Bytes after which all reads are slow: memory is moved in and out in each submission. */
  thrashesAfter?: number;
  /** Bytes after which only the first read is slow: other programs have to make room. */
  pressureAfter?: number;
  /** Milliseconds that the kernel's first use takes. */
  compileMs?: number;
}

/** Memory with the clock of a GPU of this kind. */
class FakeMemory implements ProbedMemory {
  readonly clockStepMs = 0;
  readonly pieces: number[] = [];
  allocated = 0;
  /** The most that was ever read. */
  used = 0;
  #clock = 0;
  /** Milliseconds that another program takes from the next read. */
  disturbance = 0;
  /** Milliseconds that it takes from each submission that reads once. */
  singleDisturbance = 0;
  #compileMs: number;

  constructor(private readonly gpu: FakeGpu) {
    this.#compileMs = gpu.compileMs ?? 0;
  }

  async prepare(): Promise<void> {
    this.#clock += this.#compileMs;
    this.#compileMs = 0;
  }

  now(): number {
    return this.#clock;
  }

  async allocate(bytes: number): Promise<boolean> {
    if (this.allocated + bytes > (this.gpu.refusedAfter ?? Infinity)) return false;
    this.pieces.push(bytes);
    this.allocated += bytes;
    return true;
  }

  readFirst(times: number): Promise<boolean> {
    return this.#read(this.pieces[0], times);
  }

  readAll(): Promise<boolean> {
    return this.#read(this.allocated, 1);
  }

  async #read(bytes: number, times: number): Promise<boolean> {
    const { rate, failsAfter = Infinity, thrashesAfter = Infinity, pressureAfter = Infinity } = this.gpu;
    if (bytes > failsAfter) return false;
    const fresh = Math.max(0, bytes - this.used);
    const pressed = bytes > pressureAfter ? fresh * 40 : fresh;
    const slow = bytes > thrashesAfter ? 15 : 1;
    this.used = Math.max(this.used, bytes);
    await this.prepare();
    if (times === 1) this.#clock += this.singleDisturbance;
    this.#clock += 0.3 + this.disturbance + (1000 * (bytes * times * slow + 4 * pressed)) / rate;
    this.disturbance = 0;
    return true;
  }
}

/** The budget that a GPU gets for a model, as the engine finds it. */
async function budgetOn(gpu: FakeGpu, adapter: BudgetAdapter, deviceMemory?: number, wanted = MIXTRAL) {
  const measured = new FakeMemory(gpu);
  const { rate: readRate } = (await measureFirstPiece(measured, 256 * 2 ** 20))!;
  const known = { ...adapter, readRate };
  const plan = probePlan(known, deviceMemory, wanted);
  const memory = new FakeMemory(gpu);
  const first = (await measureFirstPiece(memory, Math.min(plan.pieceBytes, plan.limit)))!;
  const found = await findMemory(first, { memory, pieceBytes: plan.pieceBytes, limit: plan.limit });
  return { kind: memoryKind(known), budget: gpuBudgetOf(found, wanted, plan), memory };
}

const nvidia = { software: false, vendor: 'nvidia' };
const amd = { software: false, vendor: 'amd' };
const apple = { software: false, vendor: 'apple' };

describe('the automatic budget of', () => {
  it('an 8 GB card that refuses what it does not have', async () => {
    const { kind, budget } = await budgetOn({ rate: 250e9, refusedAfter: 7.6 * GB }, nvidia, 16);
    expect(kind).toBe('own');
    expect(budget).toBeGreaterThan(0.8 * 7.6 * GB);
    expect(budget).toBeLessThanOrEqual(0.85 * 7.6 * GB);
  });

  it('an 8 GB card under Direct3D 12, which refuses nothing and fails when all of it is used', async () => {
    const { budget } = await budgetOn({ rate: 250e9, failsAfter: 7.6 * GB }, nvidia, 16);
    expect(budget).toBeGreaterThan(0.6 * 7.6 * GB);
    expect(budget).toBeLessThanOrEqual(0.85 * 7.6 * GB);
  });

  it('an 8 GB card under Direct3D 12 that moves memory in and out instead of failing', async () => {
    const { budget } = await budgetOn({ rate: 250e9, thrashesAfter: 7.6 * GB }, nvidia, 16);
    expect(budget).toBeGreaterThan(0.6 * 7.6 * GB);
    expect(budget).toBeLessThanOrEqual(0.85 * 7.6 * GB);
  });

  it('a 24 GB card and a model that fits', async () => {
    expect((await budgetOn({ rate: 900e9, failsAfter: 23 * GB }, nvidia, 8, 20 * GB)).budget).toBe(20 * GB);
  });

  it('an AMD laptop without memory of its own: half of main memory, whatever it promises', async () => {
    const { kind, budget, memory } = await budgetOn({ rate: 70e9 }, amd, 16);
    expect(kind).toBe('shared');
    expect(budget).toBe(Math.floor(8 * 2 ** 30 * 0.85));
    expect(memory.allocated).toBeLessThanOrEqual(8 * 2 ** 30);
  });

  it('a 16 GB Mac that provides memory only when it is used: less than what other programs leave', async () => {
    for (const limit of [{ pressureAfter: 9 * GB }, { failsAfter: 11 * GB }]) {
      const { kind, budget, memory } = await budgetOn({ rate: 190e9, ...limit }, apple, 8);
      expect(kind).toBe('shared');
      expect(budget).toBeLessThanOrEqual(8.25 * GB);
      expect(budget).toBeGreaterThan(4 * GB);
      expect(memory.used).toBeLessThan(1.25 * 11 * GB);
    }
  });

  it('a 64 GB Mac: the whole model, though the browser reports 8 GiB', async () => {
    const { budget, memory } = await budgetOn({ rate: 390e9, failsAfter: 48 * GB }, apple, 8);
    expect(budget).toBe(MIXTRAL);
    expect(memory.used).toBeGreaterThanOrEqual(MIXTRAL / 0.75);
  });

  it('a phone: a quarter of its memory, of which nothing more is touched', async () => {
    const { kind, budget, memory } = await budgetOn(
      { rate: 30e9 },
      { software: false, vendor: 'qualcomm', mobile: true },
      8,
    );
    expect(kind).toBe('phone');
    expect(budget).toBe(Math.floor(2 * 2 ** 30 * 0.85));
    expect(memory.used).toBeLessThanOrEqual(2 * 2 ** 30);
    expect(Math.max(...memory.pieces)).toBe(64 * 2 ** 20);
  });
});

describe('measuring memory', () => {
  const read = async (gpu: FakeGpu): Promise<FakeMemory> => {
    const memory = new FakeMemory(gpu);
    await memory.allocate(0.25 * GB);
    await memory.readAll();
    return memory;
  };

  it('leaves the time of a submission out of the rate', async () => {
    expect(await readRateOf(await read({ rate: 500e9 }), 0.25 * GB)).toBeCloseTo(500e9, -3);
    expect(await readRateOf(await read({ rate: 500e9, failsAfter: 0.1 * GB }), 0.25 * GB)).toBeUndefined();
  });

  it('takes no laptop for a card if another program delays single reads only, and finds a finite rate', async () => {
    for (const rate of [90e9, 120e9]) {
      for (const singleDisturbance of [5, 10, 15, 20, 500]) {
        const memory = await read({ rate });
        memory.singleDisturbance = singleDisturbance;
        const found = await readRateOf(memory, 0.25 * GB);
        expect(found).toBeGreaterThan(0.9 * rate);
        expect(memoryKind({ software: false, vendor: 'intel', readRate: found })).toBe('shared');
      }
    }
    const still = { read: async () => true, now: () => 5, clockStepMs: 100 };
    expect(await rateOf(1e9, still.read, still)).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  it.each([0.1, 1, 16, 100 / 6, 100])(
    'finds no rate that is too high with a clock of %d ms, whenever it starts, and none far too low',
    async (step) => {
      // Up to 30 GB/s more densely: there a read takes one step of the clock or several, and never a whole number.
      const slow = Array.from({ length: 80 }, (_, i) => 0.6e9 * 1.05 ** i);
      const wrong: string[] = [];
      for (const rate of [...slow, 50e9, 90e9, 500e9, 1500e9]) {
        for (let phase = 0; phase < 1; phase += 0.05) {
          const memory = await read({ rate });
          const now = (): number => Math.floor((memory.now() + phase * step) / step) * step;
          const found = (await rateOf(0.25 * GB, (times) => memory.readFirst(times), { now, clockStepMs: step }))!;
          const share = found / rate;
          if (!(share > 0.4 && share <= MOST_OVER)) wrong.push(`${rate / 1e9} GB/s from ${phase}: ${share} of it`);
        }
      }
      expect(wrong).toEqual([]);
    },
  );

  it('ends with a clock that stands still, and if a repetition fails', async () => {
    const still = { read: vi.fn(async () => true), now: () => 5, clockStepMs: 100 };
    expect(await rateOf(1e9, still.read, still)).toBeGreaterThan(0);
    expect(still.read.mock.calls.length).toBeLessThan(5000);
    const read = vi.fn(async () => read.mock.calls.length < 20);
    const failing = { read, now: () => 5, clockStepMs: 100 };
    expect(await rateOf(1e9, failing.read, failing)).toBeUndefined();
  });

  it('repeats nothing with a fine clock', async () => {
    const memory = await read({ rate: 500e9 });
    const reads = vi.spyOn(memory, 'readFirst');
    await readRateOf(memory, 0.25 * GB);
    expect(reads.mock.calls.map(([times]) => times)).toEqual([1, 9, 1, 9]);
  });

  it('does not take a program that uses the GPU for a moment for a lack of memory', async () => {
    const memory = await read({ rate: 200e9 });
    memory.disturbance = 500;
    expect(await holdsAll(memory, 0.25 * GB, 200e9)).toBe(true);
    expect(await holdsAll(await read({ rate: 5e9 }), 0.25 * GB, 200e9)).toBe(false);
  });

  it('tries what was good before at once, and reports before it tries more', async () => {
    const memory = new FakeMemory({ rate: 200e9 });
    const tried: number[] = [];
    const options = { memory, pieceBytes: 1 * GB, limit: 10 * GB, known: 8 * GB };
    const beforeStep = async (bytes: number) => void tried.push(bytes);
    const first = (await measureFirstPiece(memory, 1 * GB))!;
    expect(await findMemory(first, { ...options, beforeStep })).toBe(10 * GB);
    expect(tried).toEqual([10 * GB]);
  });

  it('does not take the time in which the kernel is compiled for that of the first read', async () => {
    const [slow, fast] = [{ rate: 200e9, compileMs: 300 }, { rate: 200e9 }].map((gpu) => new FakeMemory(gpu));
    const { firstReadMs } = (await measureFirstPiece(slow, 0.25 * GB))!;
    expect(firstReadMs).toBeCloseTo((await measureFirstPiece(fast, 0.25 * GB))!.firstReadMs, 6);
  });

  it('finds nothing where the first piece is refused or fails', async () => {
    expect(await measureFirstPiece(new FakeMemory({ rate: 1e9, refusedAfter: 1 }), 1 * GB)).toBeUndefined();
    expect(await measureFirstPiece(new FakeMemory({ rate: 1e9, failsAfter: 1 }), 1 * GB)).toBeUndefined();
  });
});
