// Maps f32 to u32 in the same order: a < b exactly if key(a) < key(b). -0 equals +0. NaN becomes 0, below all others.
fn ordered_key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return 0u;
  }
  let negative = bits > 0x80000000u;
  return select(magnitude | 0x80000000u, ~bits, negative);
}

// The inverse of ordered_key(), except for NaN and the sign of zero.
fn key_value(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}
