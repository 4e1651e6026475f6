"""The statistics of `llama-perplexity --kl-divergence` and its base-logit files, in NumPy and float64: an
implementation that shares nothing with slm's. Used by check_kl.py and kl_llama.py."""

import numpy as np

QUANTILES = {"max": 1, "p99_9": .999, "p99": .99, "p95": .95, "p90": .9, "p75": .75, "median": .5, "p25": .25,
             "p10": .1, "p5": .05, "p1": .01, "p0_1": .001, "min": 0}


def log_softmax(logits):
    x = logits.astype(np.float64)
    x -= x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


class Tokens:
    """Collects what each position gives; base and model are ln p, [n, V]."""

    def __init__(self):
        self.columns = {name: [] for name in ["nll", "nll_base", "kld", "delta_p", "same_top"]}

    def add(self, base, model, targets):
        rows = np.arange(len(targets))
        nll, nll_base = -model[rows, targets], -base[rows, targets]
        kld = np.where(base > -16, np.exp(base) * (base - model), 0).sum(axis=1)
        parts = [nll, nll_base, kld, np.exp(-nll) - np.exp(-nll_base), base.argmax(1) == model.argmax(1)]
        for column, part in zip(self.columns.values(), parts):
            column.append(part)

    def summary(self):
        nll, nll_base, kld, delta_p, same = (np.concatenate(c).astype(np.float64) for c in self.columns.values())
        n, out = len(nll), {}

        def put(name, value, error):
            out[name], out[name + "_stderr"] = float(value), float(error)

        def error_of(values):
            return np.sqrt(values.var() / (n - 1))

        covariance = np.cov(nll, nll_base, bias=True)[0, 1] / (n - 1)
        ppl, base = np.exp(nll.mean()), np.exp(nll_base.mean())
        ln_error = np.sqrt(error_of(nll) ** 2 + error_of(nll_base) ** 2 - 2 * covariance)
        put("mean_kld", kld.mean(), error_of(kld))
        put("ppl", ppl, ppl * error_of(nll))
        put("base_ppl", base, base * error_of(nll_base))
        put("ppl_ratio", ppl / base, ppl / base * ln_error)
        put("ln_ppl_ratio", nll.mean() - nll_base.mean(), ln_error)
        put("ppl_difference", ppl - base,
            np.sqrt((ppl * error_of(nll)) ** 2 + (base * error_of(nll_base)) ** 2 - 2 * ppl * base * covariance))
        out["ln_ppl_correlation"] = float(np.corrcoef(nll, nll_base)[0, 1])
        put("same_top", same.mean(), np.sqrt(same.mean() * (1 - same.mean()) / (n - 1)))
        put("mean_delta_p", delta_p.mean(), error_of(delta_p))
        rms = np.sqrt((delta_p ** 2).mean())
        put("rms_delta_p", rms, error_of(delta_p ** 2) / (2 * rms))
        out["kld"] = {key: float(np.quantile(kld, q)) for key, q in QUANTILES.items()}
        out["delta_p"] = {key: float(np.quantile(delta_p, q)) for key, q in QUANTILES.items()}
        out["tokens"] = n
        return out


class BaseLogits:
    """A base-logit file, mapped."""

    def __init__(self, path):
        head = np.fromfile(path, dtype="<i4", count=5)
        assert head[:2].tobytes() == b"_logits_", f"{path}: not a base-logit file"
        self.size, self.vocab, self.chunks = (int(n) for n in head[2:])
        count = self.size * self.chunks
        self.ids = np.fromfile(path, dtype="<i4", count=count, offset=20).reshape(self.chunks, self.size)
        self.scored = self.size - 1 - self.size // 2
        self.rows = np.memmap(path, dtype="<u2", mode="r", offset=20 + 4 * count,
                              shape=(self.chunks, self.scored, 4 + (self.vocab + 1) // 2 * 2))

    def targets(self, chunk):
        return self.ids[chunk, self.size // 2 + 1:]

    def log_probs(self, chunk):
        rows = np.array(self.rows[chunk])
        head = rows[:, :4].copy().view("<f4")
        codes = rows[:, 4:4 + self.vocab].astype(np.float32)
        return (head[:, :1] * codes + head[:, 1:]).astype(np.float64)


def encode_rows(logits):
    """Rows of a base-logit file of logits [n, V]."""
    n, vocab = logits.shape
    x = logits.astype(np.float32)
    high = x.max(axis=1, keepdims=True)
    low = np.maximum(x.min(axis=1, keepdims=True), high - np.float32(16))
    ln_sum = np.log(np.exp((x - high).astype(np.float64)).sum(axis=1, keepdims=True)).astype(np.float32)
    scale = (high - low) / np.float32(65535)
    rows = np.zeros((n, 4 + (vocab + 1) // 2 * 2), dtype="<u2")
    rows[:, :4] = np.concatenate([scale, low - high - ln_sum], axis=1).astype("<f4").view("<u2")
    codes = np.rint((np.float32(1) / np.where(scale > 0, scale, 1)) * (x - low))
    rows[:, 4:4 + vocab] = np.where((x > low) & (scale > 0), codes, 0).clip(0, 65535).astype(np.uint16)
    return rows
