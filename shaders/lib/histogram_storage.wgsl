// Puts the sampler's histograms in the binding `scratch`, behind the keys. Workgroup memory is zeroed at the start, and
// the software adapter compiles one store per word for that: 0.3-0.9 s more until the first token. There, workgroup
// memory is no faster than storage.
fn histogram_at(index: u32) -> f32 {
  return bitcast<f32>(scratch[vocabulary + index]);
}

fn set_histogram(index: u32, value: f32) {
  scratch[vocabulary + index] = bitcast<u32>(value);
}

fn histogram_barrier() {
  storageBarrier();
  workgroupBarrier();
}
