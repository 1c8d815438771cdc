// Noise of the router: state.noise_step times the sum of the eight bytes of a draw less its mean, which is close to a
// normal distribution. The product is exact in f32: see workers/compute/router-noise.ts. Expects lib/threefry.wgsl.
const NOISE_MEAN = 1020;

fn byte_sum(word: u32) -> u32 {
  return (word & 255u) + ((word >> 8u) & 255u) + ((word >> 16u) & 255u) + (word >> 24u);
}

fn router_noise(key: vec2<u32>, counter: vec2<u32>) -> f32 {
  let draw = threefry2x32(key, counter);
  return f32(i32(byte_sum(draw.x) + byte_sum(draw.y)) - NOISE_MEAN) * state.noise_step;
}
