// Four weights of a norm. Expects the override WIDTH and a binding `weight: array<f32>` of WIDTH weights. Beyond WIDTH
// the last weight is repeated: the padding that it is multiplied with is zero.
fn norm_weights(vec: u32) -> vec4<f32> {
  let at = min(vec4<u32>(4u * vec) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(WIDTH - 1u));
  return vec4<f32>(weight[at.x], weight[at.y], weight[at.z], weight[at.w]);
}
