// What the kernels of the sampler in many workgroups pass on: sample_survey.wgsl, sample_gather.wgsl, sample_pick.wgsl.
const BLOCKS = 64u;         // workgroups that share the vocabulary
const BLOCK_THREADS = 64u;  // threads of such a workgroup
const GROUPS = 4096u;       // BLOCKS * BLOCK_THREADS: the tokens that one thread surveys are a group
const LISTED = 1024u;       // tokens that the pick can sort
const RAW_LISTED = 256u;

// What is known of the tokens of a block. An empty one has best.key 0, which no token has.
struct Block {
  best: Candidate,    // by adjusted logits
  raw_max: f32,
  raw_sum: f32,       // sum of exp(raw - raw_max)
  mass: f32,          // sum of exp(adjusted - best)
  draw_mass: f32,     // sum of exp((adjusted - best) / temperature)
  not_finite: u32,
  reserved: u32,
}

struct Work {
  maxima: array<u32, GROUPS>,      // the largest key of each group by adjusted logits; 0 if it is empty
  raw_maxima: array<u32, GROUPS>,  // by raw logits
  blocks: array<Block, BLOCKS>,
  listed: atomic<u32>,
  raw_listed: atomic<u32>,
  complete: u32,  // 1: all tokens that are not in `list` are excluded
  list: array<Candidate, LISTED>,
  raw_list: array<Candidate, RAW_LISTED>,
}
