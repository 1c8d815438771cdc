// ROUNDS times 64 f32 multiply-adds per thread, 16 of them independent vectors: its time gives the f32 rate of the GPU.
//
// output: vec4<f32>[1], written only if the sum is a value that it never has.
// Grid: x = threads / WORKGROUP.
override ROUNDS: u32;
override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read_write> output: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let factor = vec4<f32>(0.5) + vec4<f32>(f32(id.x & 3u)) * 1e-3;
  let term = vec4<f32>(1.0, 2.0, 3.0, 4.0);
  var a = array<vec4<f32>, 16>();
  for (var round = 0u; round < ROUNDS; round++) {
    a[0] = fma(a[0], factor, term);
    a[1] = fma(a[1], factor, term);
    a[2] = fma(a[2], factor, term);
    a[3] = fma(a[3], factor, term);
    a[4] = fma(a[4], factor, term);
    a[5] = fma(a[5], factor, term);
    a[6] = fma(a[6], factor, term);
    a[7] = fma(a[7], factor, term);
    a[8] = fma(a[8], factor, term.yzwx);
    a[9] = fma(a[9], factor, term.yzwx);
    a[10] = fma(a[10], factor, term.yzwx);
    a[11] = fma(a[11], factor, term.yzwx);
    a[12] = fma(a[12], factor, term.zwxy);
    a[13] = fma(a[13], factor, term.zwxy);
    a[14] = fma(a[14], factor, term.zwxy);
    a[15] = fma(a[15], factor, term.zwxy);
  }
  var sum = vec4<f32>(0.0);
  for (var i = 0u; i < 16u; i++) {
    sum += a[i];
  }
  if (sum.x < -1e30) {
    output[0] = sum;
  }
}
