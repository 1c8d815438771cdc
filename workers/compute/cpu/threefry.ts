/**
 * Threefry-2x32 with 20 rounds, as in shaders/lib/threefry.wgsl: the same key and counter give the same 64 random bits.
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Pure.
 */
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];

/** @returns two u32 */
export function threefry2x32(key: [number, number], counter: [number, number]): [number, number] {
  const keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1bd11bda];
  let x = (counter[0] + key[0]) | 0;
  let y = (counter[1] + key[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const by = ROTATIONS[round % 8];
    x = (x + y) | 0;
    y = ((y << by) | (y >>> (32 - by))) ^ x;
    if (round % 4 !== 3) continue;
    const injection = (round >> 2) + 1;
    x = (x + keys[injection % 3]) | 0;
    y = (y + keys[(injection + 1) % 3] + injection) | 0;
  }
  return [x >>> 0, y >>> 0];
}
