"""The reference SRU++ on words (fp16 autocast) on a GPU, beside `sru-lm bench --device cuda wt103-base` or `sru-lm train` on a prepared corpus.

    python3 peers_words.py --experiments DIR [--every 5] [--batch 64] [--unroll 768] [--seconds 10]          its speed, words by Zipf's law
    python3 peers_words.py --experiments DIR --corpus corpus.safetensors --time 180 [--lr 3e-4]                 learns, and is evaluated

DIR has the reference's experiments/srupp_experiments/embedding.py (branch 3.0.0-dev of asappresearch/sru), and the package sru is installed; see
peers_cuda.py.  Prints tokens a second, the median of the steps; or the perplexity of the valid part after that time.
"""
import argparse
import json
import math
import struct
import sys
import time

import numpy as np
import torch

from peers_torch import Reference, size


class Words(Reference):
    """The model of the reference implementation's train_wt103.py (projections tied) and train_lm1b.py (not)."""

    def __init__(self, c):
        super().__init__(dict(c, vocab=1))
        from embedding import AdaptiveEmbedding, AdaptiveLogSoftmax
        from sru import SRUpp
        d = c["n_d"]
        self.rnn = SRUpp(d, d, c["n_proj"], num_layers=c["depth"], highway_bias=c["highway_bias"], dropout=c["dropout"],
                         attn_dropout=c["attn_dropout"], num_heads=c["heads"], attention_every_n_layers=c["every"])
        self.output_layer = AdaptiveLogSoftmax(c["vocab"], c["n_e"], d, list(c["cutoffs"]), div_val=4, dropout=c["emb_dropout"], keep_order=False)
        shared = [layer.weight for layer in self.output_layer.out_layers]
        self.embedding_layer = AdaptiveEmbedding(c["vocab"], c["n_e"], d, list(c["cutoffs"]), div_val=4, dropout=c["emb_dropout"], emb_weights=shared,
                                                 proj_weights=self.output_layer.out_projs if c["tie"] else None)
        for name, p in self.named_parameters():
            if "out_layers" in name and p.dim() > 1:
                torch.nn.init.uniform_(p, -(3 / d) ** 0.5, (3 / d) ** 0.5)
            elif "projs" in name:
                torch.nn.init.xavier_uniform_(p)
            elif "out_layers" in name:
                torch.nn.init.zeros_(p)

    def forward(self, x, y, state, window=None):
        """x, y [T, B]: mean loss, and the state for what follows."""
        c, memory = state
        mask = self.mask(0 if memory[0] is None else memory[0].size(0), x.size(0), window)
        h, c, saved = self.rnn(self.drop(self.embedding_layer(x)), c, memory=memory, attn_mask=mask)
        loss = self.output_layer(self.drop(h).view(-1, h.size(2)), y.reshape(-1)).float().mean()
        return loss, (c.detach(), [m.detach() for m in saved["saved_inputs"]])


def zipf(V, shape):
    """As src/bench/measure.c's."""
    u = torch.rand(shape, dtype=torch.float64)
    return ((1 - u * (1 - (V + 1) ** -0.15)) ** (-1 / 0.15)).long().clamp_(1, V) - 1


def read(path):
    """The parts of a prepared corpus, and how many words there are."""
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    parts = {}
    for name in "train", "valid":
        begin, end = header[name]["data_offsets"]
        dtype = np.uint16 if header[name]["dtype"] == "U16" else np.uint32
        parts[name] = torch.from_numpy(np.frombuffer(data[begin:end], dtype).astype(np.int64)).cuda()
    return parts, len(json.loads(header["__metadata__"]["vocab"])["words"].split(" "))


class Steps:
    def __init__(self, model, a):
        self.model, self.a = model, a
        self.optimizer = torch.optim.RAdam(model.parameters(), lr=a.lr, weight_decay=0.1, decoupled_weight_decay=True, foreach=True)
        self.scaler, self.state = torch.amp.GradScaler("cuda"), model.start(a.batch)

    def __call__(self, x, y, lr):
        self.optimizer.param_groups[0]["lr"] = lr
        with torch.autocast("cuda", dtype=torch.float16):
            loss, self.state = self.model(x, y, self.state)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        return loss.detach()


def speed(model, a):
    step, times, began = Steps(model, a), [], time.perf_counter()
    texts = [zipf(a.vocabulary, (a.unroll, a.batch)) for _ in range(8)]
    while len(times) < 12 or time.perf_counter() - began < a.seconds:
        torch.cuda.synchronize()
        start = time.perf_counter()
        step(texts[len(times) % 8], texts[(len(times) + 1) % 8], 1e-5)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    late = sorted(times[4:])
    return a.batch * a.unroll / late[len(late) // 2]


def evaluate(model, valid, a):
    model.eval()
    state, total, n = model.start(1), 0.0, 0
    with torch.no_grad(), torch.autocast("cuda", dtype=torch.float16):
        for at in range(0, len(valid) - 1, a.unroll):
            m = min(a.unroll, len(valid) - 1 - at)
            loss, (c, memory) = model(valid[at:at + m, None], valid[at + 1:at + m + 1, None], state, window=a.window)
            state = c, [k[-a.window:] for k in memory]
            total, n = total + loss.item() * m, n + m
    model.train()
    return total / n


def learn(model, parts, a):
    step, began, n = Steps(model, a), time.perf_counter(), 0
    length = (len(parts["train"]) - 1) // a.batch
    x, y = (parts["train"][k:k + a.batch * length].view(a.batch, length).t().contiguous() for k in (0, 1))
    while (progress := (time.perf_counter() - began) / a.time) < 1:
        at = n % (length // a.unroll) * a.unroll
        if at == 0:
            step.state = model.start(a.batch)
        step(x[at:at + a.unroll], y[at:at + a.unroll], a.lr * min(progress / a.warmup, 0.5 + 0.5 * math.cos(math.pi * progress)))
        n += 1
        if n % 8 == 0:
            torch.cuda.synchronize()
    return n


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--experiments", required=True)
    p.add_argument("--corpus")
    p.add_argument("--time", type=float, default=180)
    for name, value in ("batch", 64), ("unroll", 768), ("hidden", 3072), ("projection", 768), ("layers", 10), ("every", 1), ("embedding", 1024), \
            ("vocabulary", 267735), ("window", 0):
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--cutoffs", default="19997,39997,199997")
    p.add_argument("--untied", action="store_true")
    for name, value in ("dropout", 0.15), ("attention-dropout", 0.15), ("embedding-dropout", 0.15), ("seconds", 10), ("lr", 3e-4), ("warmup", 0.06):
        p.add_argument("--" + name, type=float, default=value)
    a = p.parse_args()
    a.window = a.window or 2 * a.unroll
    sys.path.insert(0, a.experiments)
    torch.set_default_device("cuda")
    torch.manual_seed(1)
    parts = None
    if a.corpus:
        parts, a.vocabulary = read(a.corpus)
    model = Words(dict(n_d=a.hidden, n_proj=a.projection, depth=a.layers, vocab=a.vocabulary, dropout=a.dropout, attn_dropout=a.attention_dropout,
                       emb_dropout=a.embedding_dropout, highway_bias=-2, heads=1, every=a.every, n_e=a.embedding, tie=not a.untied,
                       cutoffs=[int(c) for c in a.cutoffs.split(",")])).cuda().train()
    what = f"reference, {size(model):,} parameters, B {a.batch} T {a.unroll}"
    if parts:
        n = learn(model, parts, a)
        nats = evaluate(model, parts["valid"], a)
        print(f"{what}: {n} steps in {a.time:g} s, {n * a.batch * a.unroll / a.time:,.0f} tokens/s; valid {nats:.4f} nats, perplexity {math.exp(nats):.1f}")
    else:
        print(f"{what}: {speed(model, a):,.0f} tokens/s, {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
