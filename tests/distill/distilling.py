"""A distillation to be killed: a process with a row and a checkpoint every 5 steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from plethprint_distill import training_run
from plethprint_distill.distill import DistillConfig, distill
from plethprint_distill.student import PRESETS, StudentConfig
from plethprint_distill.teacher import M2AE, TeacherConfig
from plethprint_distill.windows import WindowSet

PRESETS["tiny"] = StudentConfig(stem_channels=8, blocks=((8, 1), (16, 2), (16, 2)), dim=64)
shape = TeacherConfig(
    width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
)
training_run._ROW_STEPS, training_run._SAVE_S = 5, 0.0
sets = {path.name: WindowSet.load(path) for path in sorted(Path(sys.argv[1]).iterdir())}
config = DistillConfig(**json.loads(sys.argv[3]))
torch.manual_seed(0)
distill(Path(sys.argv[2]), M2AE(shape).eval(), sets, config, progress=False)
