#!/usr/bin/env python3
"""Adapters of slm in transformers and PEFT, and what slm makes of PEFT's: logits of eight families, float32.

usage: check_adapters_peft.py [--slm BINARY] [--data SLM_DATA]
  finetune  what `slm finetune` writes, plain, --rslora and --dora, is loaded by PEFT without a word
  convert   so is what `slm convert` makes of its adapter.gguf
  patterns  an adapter with an alpha_pattern, in PEFT, and in slm as it is and as a GGUF file and back
Needs torch, transformers, peft. Prints a row for each check and fails when one does.
"""
import sys
import tempfile
import warnings

import numpy as np
import peft
import torch
import transformers
from adapter_checks import FAMILIES, Checker, arguments
from transformers import AutoModelForCausalLM

LIMIT = 1e-3


class PeftChecker(Checker):
    def compare(self, family, name, in_peft, in_slm=None):
        """Logits after all prompts, of the adapter in both and of the base without."""
        model = AutoModelForCausalLM.from_pretrained(self.args.data / "tiny" / family / "hf", dtype=torch.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("error", UserWarning)  # a key or a tensor that PEFT does not know
            model = peft.PeftModel.from_pretrained(model, in_peft).eval()
        worst, effect = 0, np.inf
        for ids in self.prompts(family):
            with torch.no_grad():
                theirs = model(torch.tensor([ids])).logits[0, -1].double().numpy()
            worst = max(worst, np.abs(self.logits(self.base(family), in_slm or in_peft, ids) - theirs).max())
            effect = min(effect, np.abs(self.logits(self.base(family), None, ids) - theirs).max())
        self.report(f"{family} {name}", f"logits differ by {worst:.1e}, limit {LIMIT:g}; the adapter changes them by {effect:.2f} and more",
                    worst <= LIMIT and effect > 0.1)

    def run(self):
        for family in FAMILIES:
            for flags in ([], ["--rslora"], ["--dora"]):
                self.compare(family, " ".join(["finetune", *flags]), self.train(family, *flags))
            trained = self.folder / f"{family}-trained"
            self.compare(family, "finetune's GGUF as PEFT", self.convert(family, trained / "adapter.gguf", "peft"), trained / "adapter.gguf")
            patterns = self.with_patterns(family)
            self.compare(family, "patterns", patterns)
            gguf = self.convert(family, patterns, "patterns.gguf")
            self.compare(family, "patterns as GGUF", patterns, gguf)
            self.compare(family, "patterns as GGUF as PEFT", self.convert(family, gguf, "patterns-peft"))


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        checker = PeftChecker(arguments(__doc__).parse_args(), folder)
        checker.run()
    print(f"peft {peft.__version__}, transformers {transformers.__version__}: {checker.failures} failures")
    return checker.failures > 0


if __name__ == "__main__":
    sys.exit(main())
