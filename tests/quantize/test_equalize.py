import numpy as np
import torch

from plethprint_quantize.calibrate import float_fingerprints, real_windows
from plethprint_quantize.equalize import equalized


def highs(deploy, windows):
    with torch.no_grad():
        *steps, _, _ = deploy.activations(real_windows(windows))
    return [step.amax(dim=(0, 2, 3)) for step in steps]


def test_equalised_channels_leave_the_network_as_it_is(deploy, windows):
    before = float_fingerprints(deploy, windows)
    after = float_fingerprints(equalized(deploy, windows), windows)
    np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())


def test_channels_read_by_a_depthwise_layer_reach_the_bound_and_none_passes_it(
    deploy, windows
):
    before, after = highs(deploy, windows), highs(equalized(deploy, windows), windows)
    assert all(float(high.max()) <= 6.0 + 1e-4 for high in after)
    # the stem is read by a depthwise layer: whatever speaks can use all of its steps
    speaks = before[0] > 0.2
    assert float(before[0][speaks].min()) < 5.0
    torch.testing.assert_close(after[0][speaks], torch.full_like(after[0][speaks], 6.0))


def test_a_channel_at_the_bound_is_left_alone(deploy, windows):
    with torch.no_grad():
        deploy.convolutions[0].bias[2] = 20.0
    made = equalized(deploy, windows)
    for name in ("weight", "bias"):
        ours, theirs = (getattr(d.convolutions[0], name)[2] for d in (made, deploy))
        assert torch.equal(ours, theirs)


def test_a_silent_channel_is_not_raised(deploy, windows):
    with torch.no_grad():
        deploy.convolutions[1].bias[1] = -100.0
    made = equalized(deploy, windows)
    assert torch.equal(made.convolutions[1].bias[1], deploy.convolutions[1].bias[1])
    assert all(torch.isfinite(p).all() for p in made.parameters())
