/** A GPU that needs as long for a dispatch as its grid says, counted from the shapes of the kernels. */
import type { FakeDevice, Grid } from './fake-device-testing.ts';

/** Multiply-adds that take as long as reading a weight. */
const READ = 8;
/** Bytes per millisecond that the check of the memory reads: 5 GB/s. */
const READ_RATE = 5e6;
/** Bytes that a workgroup of read_all.wgsl reads. */
const READ_BYTES = 65536;

/** Times of what a {@link FakeDevice} was given. */
export interface SlowGpu {
  now: () => number;
  /** Milliseconds of each dispatch. */
  dispatches: number[];
  /** Milliseconds of each submission. */
  submissions: number[];
  /** Milliseconds of each submission that checks the memory. */
  reads: number[];
}

/**
 * Gives the device a clock.
 * @param rate multiply-adds per millisecond
 * @param positions that attention takes into account
 */
export function slowDown(device: FakeDevice, rate: number, positions: number): SlowGpu {
  let clock = 0;
  let busyUntil = 0;
  const gpu: SlowGpu = { now: () => clock, dispatches: [], submissions: [], reads: [] };
  device.onSubmit = (calls, grids) => {
    const times = calls.map((label, i) =>
      label.startsWith('read all')
        ? (workgroupsOf(grids[i]) * READ_BYTES) / READ_RATE
        : workOf(label, grids[i], positions) / rate,
    );
    const sum = times.reduce((total, ms) => total + ms, 0);
    busyUntil = Math.max(clock, busyUntil) + sum;
    gpu.dispatches.push(...times);
    if (times.length > 0) gpu.submissions.push(sum);
    if (calls[0]?.startsWith('read all')) gpu.reads.push(sum);
  };
  device.queue.onSubmittedWorkDone = async () => {
    clock = Math.max(clock, busyUntil);
  };
  return gpu;
}

const workgroupsOf = ([x, y, z]: Grid): number => x * y * z;

/** The multiply-adds of a matrix product or of attention, and what reading weights is worth; 0 for small kernels. */
function workOf(label: string, grid: Grid, positions: number): number {
  const overrides = JSON.parse(label.slice(label.indexOf('{'))) as Record<string, number>;
  const workgroups = workgroupsOf(grid);
  if (label.startsWith('attention_flash ')) {
    const [, rowVectors] = /(\d)x\d/.exec(label)!;
    const rows = 4 * Number(rowVectors) * overrides.SHARES;
    // A token's workgroups share the positions.
    const own = overrides.SPLIT ? 64 : positions;
    return workgroups * rows * own * 2 * overrides.HEAD_DIM;
  }
  if (label.startsWith('measure arithmetic')) return workgroups * overrides.WORKGROUP * overrides.ROUNDS * 64;
  if (!/^(matmul|expert)/.test(label)) return 0;
  const matrices = label.startsWith('expert gate+up') ? 2 : 1;
  const shape = shapeOf(label, matrices);
  const weights = shape.rows * matrices * overrides.BLOCKS * 32;
  // Neighboring workgroups in x read the same weights.
  return workgroups * weights * shape.inputs + (workgroups / grid[0]) * weights * READ;
}

/** How many rows of each matrix and inputs a workgroup has, by the name of the variant. */
function shapeOf(label: string, matrices: number): { rows: number; inputs: number } {
  const tiled = /tiled-(\d+)x(\d+)/.exec(label);
  if (tiled) return { rows: Number(tiled[1]) / matrices, inputs: Number(tiled[2]) };
  const [, threads, threadRows] = /(?:staged|subgroup)-(\d+)x(\d+)/.exec(label) ?? [];
  if (threads) {
    const rowGroups = label.includes('subgroup') ? 1 : Number(threads) / 32;
    return { rows: (rowGroups * Number(threadRows)) / matrices, inputs: 1 };
  }
  if (/ staged x4/.test(label)) return { rows: 16 / matrices, inputs: 4 };
  if (/ workgroup x4/.test(label)) return { rows: 4, inputs: 4 };
  if (/ workgroup /.test(label)) return { rows: 4, inputs: 1 };
  throw new Error(`unknown kernel ${label}`);
}
