import { expect, it } from 'vitest';
import { ropeTable } from './rope-table.ts';

it('contains the cosine and sine of position * base^(-2j / dimensions)', () => {
  const table = ropeTable({ ropeDimensionCount: 4, ropeFreqBase: 10000 }, 701);
  expect(table.length).toBe(701 * 4);
  expect([...table.subarray(0, 4)]).toEqual([1, 0, 1, 0]);
  // cos and sin of 700 and of 700 / 100
  const [cos700, sin700, cos7, sin7] = table.subarray(700 * 4);
  expect(cos700).toBeCloseTo(-0.8391043, 6);
  expect(sin700).toBeCloseTo(0.5439705, 6);
  expect(cos7).toBeCloseTo(0.7539023, 6);
  expect(sin7).toBeCloseTo(0.6569866, 6);
});

const anglesAt = (table: Float32Array, position: number, pairs: number): number[] =>
  Array.from({ length: pairs }, (_, j) =>
    Math.atan2(table[(position * pairs + j) * 2 + 1], table[(position * pairs + j) * 2]),
  );

const SHAPE = { ropeDimensionCount: 8, ropeFreqBase: 10_000 };

it('divides every frequency with linear scaling', () => {
  const ropeScaling = { type: 'linear', factor: 4, originalContextLength: 100, magnitude: 1 } as const;
  const [plain, scaled] = [ropeTable(SHAPE, 9), ropeTable({ ...SHAPE, ropeScaling }, 9)];
  for (const [j, angle] of anglesAt(scaled, 8, 4).entries()) expect(angle).toBeCloseTo(anglesAt(plain, 2, 4)[j], 6);
});

it('divides the frequency of each pair by its factor', () => {
  const [plain, scaled] = [ropeTable(SHAPE, 9), ropeTable({ ...SHAPE, ropeFactors: [1, 2, 4, 8] }, 9)];
  const at = (position: number): number[] => anglesAt(plain, position, 4);
  expect(anglesAt(scaled, 8, 4).map((angle) => angle.toFixed(5))).toEqual(
    [at(8)[0], at(4)[1], at(2)[2], at(1)[3]].map((angle) => angle.toFixed(5)),
  );
});

it('keeps fast pairs, slows slow pairs and scales the vectors with YaRN', () => {
  // 64 dimensions, base 10000, context 4096: pair j rotates 4096 * 10000^(-j / 32) / (2 pi) times. That is 32 times for
  // j = 10.46 and once for j = 22.51. So pairs up to 10 keep their frequency, and that of pairs from 23 on is divided
  // by 4.
  const ropeScaling = { type: 'yarn', factor: 4, originalContextLength: 4096, magnitude: 1.138629 } as const;
  const shape = { ropeDimensionCount: 64, ropeFreqBase: 10_000 };
  const table = ropeTable({ ...shape, ropeScaling }, 2);
  const [angles, plain] = [anglesAt(table, 1, 32), anglesAt(ropeTable(shape, 2), 1, 32)];
  const ratios = angles.map((angle, j) => angle / plain[j]);
  for (let j = 0; j <= 10; j++) expect(ratios[j]).toBeCloseTo(1, 5);
  for (let j = 23; j < 32; j++) expect(ratios[j]).toBeCloseTo(0.25, 5);
  expect(ratios[16]).toBeCloseTo(0.25 + 0.75 * (7 / 13), 5);
  expect(Math.hypot(table[64], table[65])).toBeCloseTo(1.138629, 5);
});
