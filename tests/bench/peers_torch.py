"""The models that peers.py compares sru-lm with, in PyTorch: the reference SRU++ (package sru) and a small GPT."""
import logging
import math
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")   # of the reference: no CUDA, and training on a processor
logging.disable(logging.WARNING)
import torch  # noqa: E402
from torch import nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402


# ---- Models -----------------------------------------------------------------------------------------

class Reference(nn.Module):
    """The model of the reference implementation's train_enwik8.py."""

    def __init__(self, c):
        super().__init__()
        from sru import SRUpp
        d = c["n_d"]
        self.depth, self.masks = c["depth"], {}
        self.drop = nn.Dropout(c["dropout"])
        self.embedding_layer = nn.Embedding(c["vocab"], d)
        self.rnn = SRUpp(d, d, c["n_proj"], num_layers=self.depth, highway_bias=c["highway_bias"], dropout=c["dropout"],
                         attn_dropout=c["attn_dropout"], num_heads=c["heads"])
        self.output_layer = nn.Linear(d, c["vocab"])
        for p in (self.embedding_layer.weight, self.output_layer.weight):
            nn.init.uniform_(p, -(3 / d) ** 0.5, (3 / d) ** 0.5)
        nn.init.zeros_(self.output_layer.bias)

    def start(self, batch):
        return torch.zeros(self.depth, batch, self.rnn.hidden_size), [None] * self.depth

    def mask(self, memory, length, window):
        """Added to the scores; a query sees `window` positions before it, or all where that is None."""
        key = memory, length, window
        if key not in self.masks:
            ones = torch.ones(length, memory + length)
            far = torch.tril(ones, diagonal=memory - 1 - window) if window else 0
            self.masks[key] = (torch.triu(ones, diagonal=memory + 1) + far) * -10000.0
        return self.masks[key]

    def forward(self, x, state, window=None):
        """x [T, B]: logits [T, B, V], and the state for what follows."""
        c, memory = state
        mask = self.mask(0 if memory[0] is None else memory[0].size(0), x.size(0), window) if x.size(0) > 1 else None
        h, c, saved = self.rnn(self.drop(self.embedding_layer(x)), c, memory=memory, attn_mask=mask)
        return self.output_layer(self.drop(h)), (c.detach(), [m.detach() for m in saved["saved_inputs"]])


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout))

    def forward(self, x):
        B, T, W = x.shape
        q, k, v = (y.view(B, T, self.heads, -1).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(W, 2))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.dropout(self.proj(a.transpose(1, 2).reshape(B, T, W)), self.dropout, self.training)
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """As nanoGPT: learned positions, normalised before each block, GELU, the embedding also the output matrix."""

    def __init__(self, vocab, context, layers, width, heads, dropout=0.0):
        super().__init__()
        self.shape = f"{layers} x {width}"
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(dropout)
        for name, p in self.named_parameters():
            if name.endswith(("proj.weight", "mlp.2.weight")):
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers))
            elif p.dim() > 1:
                nn.init.normal_(p, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, x):
        """x [B, T]: logits [B, T, V]."""
        e = self.drop(self.tokens(x) + self.positions.weight[:x.size(1)])
        return F.linear(self.norm(self.blocks(e)), self.tokens.weight)


def size(model):
    return sum(p.numel() for p in model.parameters())


def gpt_shape(parameters, vocab, context):
    """Layers, width and heads: within 3 % of so many parameters, and wide rather than deep, which is the faster on processors."""
    best = None
    for layers in (4, 6, 8, 5, 7, 12):
        for width in range(64, 2049, 32):
            n = layers * (12 * width * width + 13 * width) + (vocab + context + 2) * width
            if abs(n / parameters - 1) <= 0.03 and (best is None or abs(layers - 6) < abs(best[0] - 6)):
                best = layers, width, width // (64 if width % 64 == 0 else 32)
    if best is None:
        raise ValueError(f"no GPT of about {parameters} parameters")
    return best


# ---- Training PyTorch's models ------------------------------------------------------------------------

class Text:
    """A file's bytes as sru-lm numbers and splits them with --split 90/10."""

    def __init__(self, path):
        data = np.fromfile(path, dtype=np.uint8)
        self.path, (self.vocab, ids) = path, np.unique(data, return_inverse=True)
        ids, end = torch.from_numpy(ids.astype(np.int64).reshape(-1)), len(data) * 90 // 100
        self.train, self.valid = ids[:end], ids[end:]


class Trainer:
    def __init__(self, model, text, settings, bf16, compiled=False):
        self.model, self.text, self.bf16 = model.train(), text, bf16
        self.B, self.T, self.tokens = settings["batch"], settings["unroll"], 0
        self.recurrent, self.at = isinstance(model, Reference), 0
        self.run = torch.compile(model) if compiled else model
        decays = [p for p in model.parameters() if self.recurrent or p.dim() > 1]   # as each is usually trained
        others = [p for p in model.parameters() if not self.recurrent and p.dim() <= 1]
        groups = [{"params": decays, "weight_decay": settings["weight-decay"]}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=1e-4, betas=(0.9, 0.95), eps=1e-8, fused=True)
        n = (len(text.train) - 1) // self.B
        self.columns = text.train[:n * self.B].view(self.B, n).t().contiguous()
        self.targets = text.train[1:n * self.B + 1].view(self.B, n).t().contiguous()
        self.generator = torch.Generator().manual_seed(1)

    def forward(self):
        if not self.recurrent:
            starts = torch.randint(len(self.text.train) - self.T, (self.B, 1), generator=self.generator) + torch.arange(self.T)
            return self.run(self.text.train[starts]), self.text.train[starts + 1]
        if self.at + self.T > len(self.columns):
            self.at = 0
        if self.at == 0:
            self.state = self.model.start(self.B)
        x, y = (c[self.at:self.at + self.T] for c in (self.columns, self.targets))
        self.at += self.T
        logits, self.state = self.run(x, self.state)
        return logits, y

    def step(self, lr=1e-4):
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits, y = self.forward()
            loss = F.cross_entropy(logits.flatten(0, 1).float(), y.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.tokens += self.B * self.T

    def rate(self, seconds):
        """Tokens a second over some seconds, after a step that warms up."""
        began = time.perf_counter()
        self.step()
        if time.perf_counter() - began < seconds / 2 or self.tokens == self.B * self.T:
            began, before = time.perf_counter(), self.tokens
        else:
            before = self.tokens - self.B * self.T   # too slow to throw a step away
        while time.perf_counter() - began < seconds:
            self.step()
        return (self.tokens - before) / (time.perf_counter() - began)

    def train(self, seconds, lr):
        """A run of so long, its rate over the time as sru-lm's."""
        began = time.perf_counter()
        while (p := (time.perf_counter() - began) / seconds) < 1:
            self.step(lr * (p / 0.06 if p < 0.06 else (1 + math.cos(math.pi * (p - 0.06) / 0.94)) / 2))


@torch.no_grad()
def loss_of(model, ids, span):
    """Mean nats of every byte but the first: the reference with a sliding window of `span`, the GPT with span / 2 to span bytes."""
    model.eval()
    total, n = 0.0, len(ids) - 1
    if isinstance(model, Reference):
        state = model.start(1)
        for at in range(0, n, span):
            y = ids[at + 1:at + span + 1]
            logits, state = model(ids[at:at + len(y)].unsqueeze(1), state, span)
            total += F.cross_entropy(logits[:, 0], y, reduction="sum").item()
    else:
        span = min(span, n)
        starts = list(range(0, n - span, max(span // 2, 1))) + [n - span]
        new = [starts[0] + span] + [b - a for a, b in zip(starts, starts[1:])]   # bytes that each window is the first to predict
        for i in range(0, len(starts), 16):
            where = torch.tensor(starts[i:i + 16]).unsqueeze(1) + torch.arange(span)
            nll = F.cross_entropy(model(ids[where]).transpose(1, 2), ids[where + 1], reduction="none")
            total += sum(row[span - k:].sum().item() for row, k in zip(nll, new[i:]))
    return total / n


class Decoder:
    """The reference writing one stream, a token at a time, with so many positions of memory."""

    def __init__(self, model, window, bf16):
        self.model, self.window, self.bf16 = model, window, bf16
        self.token, self.state = torch.zeros(1, 1, dtype=torch.long), None
        model.requires_grad_(False)

    def step(self):
        old = self.state[1]
        # Its compiled recurrence is for inference in f32 alone; where gradients are on it is written in PyTorch.
        with torch.set_grad_enabled(self.bf16), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits, (c, new) = self.model(self.token, self.state)
        self.state = c, [torch.cat([m, x])[-self.window:] for m, x in zip(old, new)]
        self.token = logits.argmax(-1)

    def rate(self, seconds):
        self.model.eval()
        if self.state is None:
            with torch.no_grad():
                self.state = self.model(torch.zeros(self.window, 1, dtype=torch.long), self.model.start(1))[1]
        self.step()
        n, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            self.step()
            n += 1
        return n / (time.perf_counter() - began)
