import { describe } from 'vitest';
import { findFirefox } from '../../scripts/other-browsers.mjs';
import { exactness } from './exactness.ts';
import { startFirefox } from './firefox.ts';
import { journeys, shareBrowser } from './journeys.ts';

const firefox = findFirefox();

describe.skipIf(!firefox)('Firefox', () => {
  const page = shareBrowser(() => startFirefox(firefox!));
  describe.skipIf(!firefox?.webgpu)('with WebGPU', () => journeys(page, { name: 'GPU', automatic: false }));
  describe.skipIf(!firefox?.webgpu)('computes exactly with WebGPU', () => exactness(page));
  describe('on the CPU', () => journeys(page, { name: 'CPU', automatic: false }));
});
