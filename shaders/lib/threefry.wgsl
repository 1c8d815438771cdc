// Threefry-2x32 with 20 rounds: a counter-based random generator. The same key and counter give the same 64 bits on
// every adapter, and no state is kept between draws.
// Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
fn threefry2x32(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
  var rotations = array<u32, 8>(13u, 15u, 26u, 6u, 17u, 29u, 16u, 24u);
  var keys = array<u32, 3>(key.x, key.y, key.x ^ key.y ^ 0x1bd11bdau);
  var x = counter + key;
  for (var round = 0u; round < 20u; round++) {
    let by = rotations[round % 8u];
    x.x += x.y;
    x.y = ((x.y << by) | (x.y >> (32u - by))) ^ x.x;
    if (round % 4u == 3u) {
      let injection = round / 4u + 1u;
      x.x += keys[injection % 3u];
      x.y += keys[(injection + 1u) % 3u] + injection;
    }
  }
  return x;
}
