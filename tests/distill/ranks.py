"""What `test_scale` starts with torchrun: some steps of one run, by one rank of many."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from plethprint_distill.compute import ComputeConfig
from plethprint_distill.pretrain import PretrainConfig, Pretraining
from plethprint_distill.teacher import PRESETS, TeacherConfig
from plethprint_distill.windows import WindowSet

PRESETS["tiny"] = TeacherConfig(
    width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
)

parser = argparse.ArgumentParser()
parser.add_argument("--sets", type=Path)
parser.add_argument("--out", type=Path)
parser.add_argument("--config", type=json.loads)
parser.add_argument("--compute", type=json.loads)
parser.add_argument("--until", type=int)
arguments = parser.parse_args()
sets = {path.name: WindowSet.load(path) for path in sorted(arguments.sets.iterdir())}
run = Pretraining(
    arguments.out,
    sets,
    PretrainConfig(**arguments.config),
    ComputeConfig(**arguments.compute),
)
run.resume()
losses = [run.run_step() for _ in range(arguments.until - run.step)]
run.save()
run.finish()
(arguments.out / f"rank{run.rank}.json").write_text(json.dumps(losses))
