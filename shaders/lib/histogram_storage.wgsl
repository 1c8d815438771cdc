// The sampler's histograms behind the keys in `scratch`. Workgroup memory begins as zeros, for which the software adapter
// compiles a store a word: 0.3-0.9 s more until the first token, where memory is all the same to it.
fn histogram_at(index: u32) -> f32 {
  return bitcast<f32>(scratch[VOCABULARY + index]);
}

fn set_histogram(index: u32, value: f32) {
  scratch[VOCABULARY + index] = bitcast<u32>(value);
}

fn histogram_barrier() {
  storageBarrier();
  workgroupBarrier();
}
