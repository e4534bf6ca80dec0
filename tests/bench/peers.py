#!/usr/bin/env python3
"""Compares sru-lm with the reference SRU++ (PyTorch, package sru) and with a small GPT of as many parameters, on processors.

Every system gets the same text, batch and threads, and trains by AdamW with clipped gradients.  The systems take turns of some
seconds, and the medians of their turns are compared, so that what else the machine does falls on all of them alike.  Presets are
read from what sru-lm writes; its weights, too, are loaded into the reference, which then has to agree about a text.
Run it through the script `peers` beside it, which installs what it needs.
"""
import argparse
import json
import math
import os
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import peers_torch as peers
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PRESETS = ("tiny", "small", "medium")


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def die(text):
    say(text)
    sys.exit(1)


# ---- sru-lm -----------------------------------------------------------------------------------------

class Ours:
    def __init__(self, args, preset, directory):
        self.program, self.threads, self.directory, self.runs = args.program, args.threads, directory, 0
        self.train = ["train", "--data", args.data, "--split", "90/10", "--preset", preset, "--evals", "1", "--threads",
                      str(args.threads), *args.train_args.split()]

    def call(self, *arguments):
        done = subprocess.run([self.program, *arguments], capture_output=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "OMP_NUM_THREADS": str(self.threads)})
        if done.returncode:
            die(f"{self.program} {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def out(self):
        self.runs += 1
        self.run = os.path.join(self.directory, f"run{self.runs}")
        return ["--out", self.run]

    def records(self):
        try:
            with open(os.path.join(self.run, "metrics.jsonl")) as f:
                return [json.loads(line) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def rate(self, seconds):
        """Tokens a second of a run stopped after so long: from its own records, so neither its start nor an evaluation counts."""
        command = [self.program, *self.train, "--time", "10h", "--log-every", "1", *self.out()]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as p:
            r = []
            while p.poll() is None and (len(r) < 2 or r[-1]["seconds"] - r[0]["seconds"] < seconds):
                time.sleep(0.1)
                r = self.records()
            p.send_signal(signal.SIGINT)
            error = p.stderr.read().decode(errors="replace")
        if p.returncode != 130:   # a run that is interrupted saves
            die(f"{' '.join(command)}: {error.strip()}")
        r = self.records()
        return (r[-1]["tokens"] - r[0]["tokens"]) / (r[-1]["seconds"] - r[0]["seconds"])

    def model(self, name="last"):
        return os.path.join(self.run, name + ".safetensors")

    def read(self):
        """Configuration, settings and weights of the last run."""
        with open(self.model(), "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
            data = bytearray(f.read())
        meta = header.pop("__metadata__")
        weights = {name: torch.frombuffer(data, dtype=torch.float32, count=(t["data_offsets"][1] - t["data_offsets"][0]) // 4,
                                          offset=t["data_offsets"][0]).view(t["shape"])
                   for name, t in header.items() if not name.startswith(("optimizer.", "state."))}
        return json.loads(meta["config"]), json.loads(meta["training"])["settings"], weights

    def loss(self, path):
        return float(self.call("eval", self.model(), "--data", path).split()[1])

    def seconds_to_write(self, n):
        began = time.perf_counter()
        self.call("generate", self.model(), "--tokens", str(n), "--temperature", "0")
        return time.perf_counter() - began

    def write_rate(self, window, seconds):
        """Tokens a second past the first `window`: a longer text less a shorter one, so that the start does not count."""
        short, n = self.seconds_to_write(window), 4 * window
        while (spent := self.seconds_to_write(window + n) - short) < seconds / 2:
            n = int(n * min(16, seconds / max(spent, 1e-3))) + 1
        return n / spent

    def quality(self, seconds):
        self.call(*self.train, "--time", f"{seconds}s", "--seed", "1", *self.out())
        last = self.records()[-1]
        return {"tokens": last["tokens"], "valid": last["valid_bits"] * math.log(2)}


# ---- The comparison -----------------------------------------------------------------------------------

def check_same(ours, reference, text, window, directory):
    """Our weights in the reference give our loss, or the two are not the same model."""
    path = os.path.join(directory, "piece")
    with open(text.path, "rb") as f, open(path, "wb") as piece:
        piece.write(f.read()[len(text.train):][:4096])
    a, b = ours.loss(path), peers.loss_of(reference, text.valid[:4096], window)
    if abs(a - b) > 2e-3:
        die(f"sru-lm and the reference disagree about the same weights: {a:.4f} and {b:.4f} nats a byte")
    return abs(a - b)


def turns(preset, systems, order, rounds, what):
    """Rates of every system over the rounds; None for one that does not run here."""
    rates = {name: [] for name in systems}
    for k in range(rounds):
        for name in order:
            say(f"{preset}: {what}, round {k + 1} of {rounds}: {name}")
            if rates[name] is None:
                continue
            try:
                rates[name].append(systems[name]())
            except RuntimeError as e:
                say(f"{name} does not run here: {str(e).strip().splitlines()[-1]}")
                rates[name] = None
    return rates


def summary(rates):
    first = statistics.median(rates["sru-lm"])
    return {name: r and {"median": statistics.median(r), "ours_over_it": first / statistics.median(r), "rates": r}
            for name, r in rates.items()}


def generation(preset, ours, reference, window, args):
    """In how many threads one stream is best written is found out first: for sru-lm it is its own default that counts."""
    def reference_rate(bf16):
        decoder, best = peers.Decoder(reference, window, bf16), {}

        def rate():
            if not best:
                for threads in sorted({1, args.threads}):
                    torch.set_num_threads(threads)
                    best[threads] = decoder.rate(min(args.seconds, 2))
            torch.set_num_threads(max(best, key=best.get))
            try:
                return decoder.rate(args.seconds)
            finally:
                torch.set_num_threads(args.threads)
        return rate
    systems = {"sru-lm": lambda: ours.write_rate(window, args.seconds), "reference f32": reference_rate(False),
               "reference bf16": reference_rate(True)}
    return summary(turns(preset, systems, list(systems), args.rounds, "generation"))


def quality(ours, make, speeds, text, settings, window, args):
    """The same minutes for each; the loss of the model at the end on the whole valid part."""
    seconds, results = round(args.quality * 60), {}
    say(f"training for {args.quality:g} minutes: sru-lm")
    results["sru-lm"] = ours.quality(seconds)
    rates = {"reference": [settings["lr"]], "GPT": args.gpt_lr}
    for kind, model in make.items():
        names = [n for n in speeds if n.startswith(kind) and speeds[n]]
        name = max(names, key=lambda n: speeds[n]["median"])
        for lr in rates[kind]:
            say(f"training for {args.quality:g} minutes: {name}, lr {lr:g}")
            trainer = peers.Trainer(model(), text, settings, name.endswith("bf16"), args.compile and kind == "GPT")
            trainer.train(seconds, lr)
            valid = peers.loss_of(trainer.model, text.valid, window if kind == "reference" else settings["unroll"])
            results[f"{name}, lr {lr:g}"] = {"tokens": trainer.tokens, "valid": valid}
    return results


def compare(preset, text, args, directory):
    ours = Ours(args, preset, directory)
    ours.rate(min(args.seconds, 2))
    config, settings, weights = ours.read()
    window = settings["window"] or 2 * settings["unroll"]
    torch.manual_seed(1)
    reference = peers.Reference(config)
    reference.load_state_dict(weights)
    shape = peers.gpt_shape(peers.size(reference), config["vocab"], settings["unroll"])
    make = {"reference": lambda: peers.Reference(config),
            "GPT": lambda: peers.GPT(config["vocab"], settings["unroll"], *shape, dropout=args.gpt_dropout)}
    result = {"preset": preset, "config": config, "batch": settings["batch"], "unroll": settings["unroll"], "window": window,
              "parameters": {"sru-lm": peers.size(reference), "GPT": peers.size(make["GPT"]())}, "gpt": f"{shape[0]} x {shape[1]}",
              "same_model_loss_differs_by": check_same(ours, reference, text, window, directory)}
    result["generation"] = generation(preset, ours, reference, window, args)
    systems = {"sru-lm": lambda: ours.rate(args.seconds)}
    for precision in ("f32", "bf16"):
        for kind, model in make.items():
            trainer = peers.Trainer(model(), text, settings, precision == "bf16", args.compile and kind == "GPT")
            systems[f"{kind} {precision}"] = lambda t=trainer: t.rate(args.seconds)
    order = ["sru-lm", "reference f32", "GPT f32", "sru-lm", "reference bf16", "GPT bf16"]
    result["training"] = summary(turns(preset, systems, order, args.rounds, "training"))
    if not args.json:
        show(result, args)
    if args.quality:   # takes long: the rest is on the screen by then
        result["quality"] = quality(ours, make, result["training"], text, settings, window, args)
        if not args.json:
            show_quality(result["quality"], args)
    return result


# ---- The report ----------------------------------------------------------------------------------------

def show(r, args):
    c = r["config"]
    print(f"\n{r['preset']}: d {c['n_d']}, p {c['n_proj']}, {c['depth']} layers, {r['parameters']['sru-lm']:,} parameters; GPT "
          f"{r['gpt']}, {r['parameters']['GPT']:,}; B {r['batch']}, T {r['unroll']}, {args.threads} threads")
    for what, title in (("training", "training"), ("generation", f"one stream, window {r['window']}")):
        print(f"\n| {title} | tokens/s | lowest - highest | sru-lm / it |\n|---|---|---|---|")
        for name, x in r[what].items():
            print(f"| {name} | {x['median']:,.0f} | {min(x['rates']):,.0f} - {max(x['rates']):,.0f} | {x['ours_over_it']:.2f} |" if x
                  else f"| {name} | does not run | | |")
    sys.stdout.flush()


def show_quality(results, args):
    print(f"\n| {args.quality:g} minutes | tokens seen | valid nats |\n|---|---|---|")
    for name, x in results.items():
        print(f"| {name} | {x['tokens']:,} | {x['valid']:.4f} |", flush=True)


def options():
    p = argparse.ArgumentParser(description="Compare sru-lm with PyTorch: training and generation in tokens a second.")
    shakespeare = os.path.join(ROOT, "..", "shared", "data", "tinyshakespeare.txt")
    p.add_argument("--data", default=shakespeare, help="text; 90 %% of it train (default: ../shared/data/tinyshakespeare.txt)")
    p.add_argument("--program", default=os.path.join(ROOT, "build", "sru-lm"), help="default: build/sru-lm")
    p.add_argument("--presets", default="tiny,small,medium", help="default: %(default)s")
    p.add_argument("--rounds", type=int, default=5, help="turns of every system (default: %(default)s)")
    p.add_argument("--seconds", type=float, default=4, help="length of a turn, at least a step (default: %(default)s)")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: every core")
    p.add_argument("--train-args", default="", metavar="ARGS", help="more options for `sru-lm train`")
    p.add_argument("--compile", action="store_true", help="torch.compile for the GPT")
    p.add_argument("--quality", type=float, metavar="MINUTES", help="also train each for so long and evaluate it")
    p.add_argument("--gpt-lr", default="1e-3,2e-3", help="with --quality: one run for each (default: %(default)s)")
    p.add_argument("--gpt-dropout", type=float, default=0.0, help="default: %(default)s")
    p.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = p.parse_args()
    args.gpt_lr = [float(x) for x in args.gpt_lr.split(",")]
    args.presets = args.presets.split(",")
    if set(args.presets) - set(PRESETS):
        p.error(f"--presets: there are {', '.join(PRESETS)}")
    if args.rounds < 1 or args.threads < 1 or args.seconds <= 0:
        p.error("--rounds, --threads and --seconds are above 0")
    for path in (args.data, args.program):
        if not os.path.exists(path):
            p.error(f"there is no {path}")
    return args


def main():
    args = options()
    load = os.getloadavg()[0]
    if load > 0.3:
        say(f"others work on this machine too (load {load:.1f}): threads that wait for each other then lose far more than their share")
    torch.set_num_threads(args.threads)
    text = peers.Text(args.data)
    results = {"torch": torch.__version__, "load": load, "threads": args.threads, "rounds": args.rounds, "seconds": args.seconds,
               "data": os.path.basename(args.data), "presets": []}
    for preset in args.presets:
        with tempfile.TemporaryDirectory() as directory:
            results["presets"].append(compare(preset, text, args, directory))
    if args.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
