// The 16 values of the 4-bit indices of IQ4_NL and IQ4_XS, for the low nibbles of 16 bytes at once: a tree of
// selections between constants, by masks of whole bytes. A table in memory would take 32 loads per 32 weights. Expects
// lib/weights.wgsl.
fn select_bytes(a: vec4<u32>, b: vec4<u32>, mask: vec4<u32>) -> vec4<u32> {
  return a ^ (mask & (a ^ b));
}

fn iq4_values(q: vec4<u32>) -> vec4<u32> {
  let b0 = lowest_bits(q) * 255u;
  let b1 = lowest_bits(q >> vec4<u32>(1u)) * 255u;
  let b2 = lowest_bits(q >> vec4<u32>(2u)) * 255u;
  let b3 = lowest_bits(q >> vec4<u32>(3u)) * 255u;
  let v0 = vec4<u32>(0x81818181u) ^ (b0 & vec4<u32>(0x19191919u));  // -127, -104
  let v2 = vec4<u32>(0xadadadadu) ^ (b0 & vec4<u32>(0x12121212u));  // -83, -65
  let v4 = vec4<u32>(0xcfcfcfcfu) ^ (b0 & vec4<u32>(0x12121212u));  // -49, -35
  let v6 = vec4<u32>(0xeaeaeaeau) ^ (b0 & vec4<u32>(0x1c1c1c1cu));  // -22, -10
  let v8 = vec4<u32>(0x01010101u) ^ (b0 & vec4<u32>(0x0c0c0c0cu));  // 1, 13
  let va = vec4<u32>(0x19191919u) ^ (b0 & vec4<u32>(0x3f3f3f3fu));  // 25, 38
  let vc = vec4<u32>(0x35353535u) ^ (b0 & vec4<u32>(0x70707070u));  // 53, 69
  let ve = vec4<u32>(0x59595959u) ^ (b0 & vec4<u32>(0x28282828u));  // 89, 113
  let low = select_bytes(select_bytes(v0, v2, b1), select_bytes(v4, v6, b1), b2);
  let high = select_bytes(select_bytes(v8, va, b1), select_bytes(vc, ve, b1), b2);
  return select_bytes(low, high, b3);
}
