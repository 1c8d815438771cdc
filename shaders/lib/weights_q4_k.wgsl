// Q4_K, blocks of 256: w = d * scale * q - dmin * min, scale and min of 6 bits for each 32 weights.
// Plane 0: 128 bytes of quants; 32 bytes hold 64 weights, the first 32 in the low nibbles.
// Plane 1: one vec4: d and dmin (f16), then 12 bytes of packed scales and mins.

struct Run32 {
  quants: Block32,  // times BYTE_PLACES
  d: f32,
  m: f32,
}

struct Input32 {
  x: Block32,  // divided by BYTE_PLACES
  sum: f32,
}

fn prepare(x: Block32) -> Input32 {
  let sum = dot(((x.a + x.b) + (x.c + x.d)) + ((x.e + x.f) + (x.g + x.h)), vec4<f32>(1.0));
  return Input32(scaled32(x, INVERSE_BYTE_PLACES, INVERSE_BYTE_PLACES), sum);
}

// (scale, min) of run j of 32 weights; the upper bits of j >= 4 lie in the top of the first eight bytes.
fn scale_min(packed: vec3<u32>, j: u32) -> vec2<f32> {
  let shift = (j & 3u) * 8u;
  let low = vec2<u32>(packed.x >> shift, packed.y >> shift);
  let last = (packed.z >> shift) & 0xffu;
  let late = vec2<u32>((last & 15u) | ((low.x >> 2u) & 0x30u), (last >> 4u) | ((low.y >> 2u) & 0x30u));
  return vec2<f32>(select(low & vec2<u32>(63u), late, j >= 4u));
}

fn run32(p: Planes, n: u32) -> Run32 {
  let block = n >> 3u;
  let j = n & 7u;
  let header = weights[p.p1 + block];
  let factors = scale_min(header.yzw, j);
  let d = half(header.x & 0xffffu) * factors.x;
  let m = half(header.x >> 16u) * factors.y;
  let at = p.p0 + block * 8u + (j >> 1u) * 2u;
  let shift = vec4<u32>((j & 1u) * 4u);
  let u = (weights[at] >> shift) & vec4<u32>(0x0f0f0f0fu);
  let v = (weights[at + 1u] >> shift) & vec4<u32>(0x0f0f0f0fu);
  let quants = Block32(
    placed4(u.x), placed4(u.y), placed4(u.z), placed4(u.w), placed4(v.x), placed4(v.y), placed4(v.z), placed4(v.w),
  );
  return Run32(quants, d, m);
}

fn dot_run(w: Run32, x: Input32) -> f32 {
  return w.d * dot32(w.quants, x.x) - w.m * x.sum;
}

fn block32(p: Planes, n: u32) -> Block32 {
  let w = run32(p, n);
  let d = w.d * INVERSE_BYTE_PLACES;
  let v = scaled32(w.quants, d, d);
  return Block32(v.a - w.m, v.b - w.m, v.c - w.m, v.d - w.m, v.e - w.m, v.f - w.m, v.g - w.m, v.h - w.m);
}
