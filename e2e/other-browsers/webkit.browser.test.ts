import { describe } from 'vitest';
import { findWebKit } from '../../scripts/other-browsers.mjs';
import { journeys, shareBrowser } from './journeys.ts';
import { startWebKit } from './webkit.ts';

const webkit = findWebKit();

describe.skipIf(!webkit)('WebKitGTK', () => {
  const page = shareBrowser(() => startWebKit(webkit!));
  // It has no WebGPU, so the page chooses the CPU.
  describe('on the CPU', () => journeys(page, { name: 'CPU', automatic: true }));
});
