"""What tests start as processes of their own: a run whole, or a rank's share of one.

With ``--until`` it takes steps and says their losses; without it it trains to the end as
the command line does, with a row and a checkpoint every five steps.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from plethprint_distill import training_run
from plethprint_distill.compute import ComputeConfig
from plethprint_distill.pretrain import PretrainConfig, Pretraining, pretrain
from plethprint_distill.teacher import PRESETS, TeacherConfig
from plethprint_distill.windows import WindowSet

PRESETS["tiny"] = TeacherConfig(
    width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
)

parser = argparse.ArgumentParser()
parser.add_argument("--sets", type=Path)
parser.add_argument("--out", type=Path)
parser.add_argument("--config", type=json.loads)
parser.add_argument("--compute", type=json.loads, default={})
parser.add_argument("--until", type=int)
arguments = parser.parse_args()
sets = {path.name: WindowSet.load(path) for path in sorted(arguments.sets.iterdir())}
config = PretrainConfig(**arguments.config)
compute = ComputeConfig(**arguments.compute)
if arguments.until is None:
    training_run._ROW_STEPS, training_run._SAVE_S = 5, 0.0
    pretrain(arguments.out, sets, config, compute, progress=False)
else:
    run = Pretraining(arguments.out, sets, config, compute)
    run.resume()
    losses = [run.run_step() for _ in range(arguments.until - run.step)]
    run.save()
    run.finish()
    (arguments.out / f"rank{run.rank}.json").write_text(json.dumps(losses))
