import { describe } from 'vitest';
import { findWebKit } from '../../scripts/other-browsers.mjs';
import { journeysWithoutModels, shareBrowser } from './journeys.ts';
import { startWebKit } from './webkit.ts';

const webkit = findWebKit();

describe.skipIf(!webkit)('WebKitGTK', () => {
  const page = shareBrowser(() => startWebKit(webkit!));
  describe('without WebGPU', () => journeysWithoutModels(page));
});
