"""Training speed of the reference SRU++ (fp16 autocast, its best mode) and of a compiled GPT (bf16) on a GPU, for `sru-lm bench --device cuda`.

    python3 peers_cuda.py [--gpt] [--batch 16] [--unroll 1024] [--hidden 3072] [--projection 768] [--layers 10] [--seconds 10]

Needs torch with CUDA and, for the reference, the package sru, whose kernel is compiled when it is loaded; with today's PyTorch that asks for
`sed -i s/.type()/.scalar_type()/` on its .cpp and .cu files.  Prints tokens a second: the median of the steps.
"""
import argparse
import time

import torch
import torch.nn.functional as F

from peers_torch import GPT, Reference, size


def steps(model, a, dtype, recurrent):
    run = model if recurrent else torch.compile(model)
    optimizer = torch.optim.RAdam(model.parameters(), lr=1e-4, foreach=True) if recurrent else \
        torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    scaler = torch.amp.GradScaler("cuda", enabled=dtype == torch.float16)
    shape = (a.unroll, a.batch) if recurrent else (a.batch, a.unroll)
    texts = [torch.randint(256, shape) for _ in range(8)]
    state, times, began = model.start(a.batch) if recurrent else None, [], time.perf_counter()
    while len(times) < 12 or time.perf_counter() - began < a.seconds:
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", dtype):
            x, y = texts[len(times) % 8], texts[(len(times) + 1) % 8]
            if recurrent:
                logits, state = run(x, state)
            else:
                logits = run(x)
            loss = F.cross_entropy(logits.flatten(0, 1).float(), y.flatten())
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    late = sorted(times[4:])
    return a.batch * a.unroll / late[len(late) // 2]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--gpt", action="store_true")
    for name, value in ("batch", 16), ("unroll", 1024), ("hidden", 3072), ("projection", 768), ("layers", 10):
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--dropout", type=float, default=0.22)
    p.add_argument("--seconds", type=float, default=10)
    a = p.parse_args()
    torch.set_default_device("cuda")
    if a.gpt:
        model, dtype = GPT(256, a.unroll, 12, 768, 12), torch.bfloat16
    else:
        model, dtype = Reference(dict(n_d=a.hidden, n_proj=a.projection, depth=a.layers, vocab=256, dropout=a.dropout, attn_dropout=a.dropout,
                                      highway_bias=-2, heads=1)), torch.float16
    rate = steps(model.cuda().train(), a, dtype, not a.gpt)
    print(f"{'GPT' if a.gpt else 'reference'}, {size(model):,} parameters, B {a.batch} T {a.unroll}: {rate:,.0f} tokens/s, "
          f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
