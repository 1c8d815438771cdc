// Loads 32 inputs from vec4 `at` on and prepares them for dot_run(). Expects a weight type's lib and a binding
// `input: array<vec4<f32>>`.
fn input32(at: u32) -> Input32 {
  let x = Block32(
    input[at], input[at + 1u], input[at + 2u], input[at + 3u],
    input[at + 4u], input[at + 5u], input[at + 6u], input[at + 7u],
  );
  return prepare(x);
}
