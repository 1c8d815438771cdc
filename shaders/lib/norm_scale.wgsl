// 1 / sqrt(mean + epsilon), with the mean of the squares of a row: what a norm multiplies the row with. NaN if the squares
// were too large for f32. Without that the scale is 0, the row becomes zero, and a wrong answer follows without an
// error. In bits, because WGSL compilers may assume that numbers are finite.
fn norm_scale(mean: f32, epsilon: f32) -> f32 {
  let is_infinite = (bitcast<u32>(mean) & 0x7f800000u) == 0x7f800000u;
  return bitcast<f32>(select(bitcast<u32>(inverseSqrt(mean + epsilon)), 0x7fc00000u, is_infinite));
}
