"""Exports a checkpoint as a GGUF in Q8_0 (norms and routers in F32)."""
import argparse
import pathlib

import numpy as np
import sentencepiece as spm
import torch

from gguf_file import F32, Q8_0, write_gguf
from model import Config, gguf_name

NAME = "mixtab storyteller"
DESCRIPTION = "A small Mixtral-architecture story-teller, trained from scratch on public-domain fiction. It continues text."


def vocabulary(sp: spm.SentencePieceProcessor) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Returns (pieces, scores, GGUF's token types)."""
    size = sp.get_piece_size()
    pieces = [sp.id_to_piece(i) for i in range(size)]
    scores = np.array([sp.get_score(i) for i in range(size)], dtype=np.float32)
    types = np.ones(size, dtype=np.int32)
    for i in range(size):
        if sp.is_unknown(i):
            types[i] = 2
        elif sp.is_control(i):
            types[i] = 3
        elif sp.is_byte(i):
            types[i] = 6
    return pieces, scores, types


def tensors(state: dict[str, torch.Tensor]) -> list[tuple[str, np.ndarray, int]]:
    """Returns (GGUF name, weights, type) of every parameter. All matrices except the routers are Q8_0."""
    out = []
    for name, p in state.items():
        array = p.float().cpu().numpy()
        quantized = array.ndim >= 2 and "router" not in name
        out.append((gguf_name(name), array.transpose(0, 2, 1) if array.ndim == 3 else array, Q8_0 if quantized else F32))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    saved = torch.load(args.work / "checkpoint.pt", map_location="cpu")
    c = Config(**saved["config"])
    sp = spm.SentencePieceProcessor(model_file=str(args.work / "vocabulary.model"))
    pieces, scores, types = vocabulary(sp)
    metadata = {
        "general.architecture": "llama",
        "general.name": NAME,
        "general.description": DESCRIPTION,
        "general.license": "mit",
        "general.alignment": 32,
        "general.file_type": 7,
        "llama.vocab_size": c.vocabulary,
        "llama.context_length": c.context,
        "llama.embedding_length": c.embedding,
        "llama.block_count": c.layers,
        "llama.feed_forward_length": c.feed_forward,
        "llama.attention.head_count": c.heads,
        "llama.attention.head_count_kv": c.kv_heads,
        "llama.attention.layer_norm_rms_epsilon": c.norm_epsilon,
        "llama.rope.dimension_count": c.head_dim,
        "llama.rope.freq_base": c.rope_base,
        "llama.expert_count": c.experts,
        "llama.expert_used_count": c.experts_per_token,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.add_space_prefix": True,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(args.out, metadata, tensors(saved["model"]))
    print(f"{args.out}: {args.out.stat().st_size} bytes, step {saved['step']}, {saved['seen']} tokens seen")


if __name__ == "__main__":
    main()
