"""Costs: arithmetic against hand-computed values and published anchors, and its words."""

from __future__ import annotations

import json
import re

import pytest

from plethprint.cost import (
    PROCESSORS,
    RAW_STREAMS,
    VARIANTS,
    Band,
    Network,
    RadioAssumptions,
    Traffic,
    compare,
    cost_report,
    read_measurement,
)
from plethprint.cost.page import html_page
from plethprint.cost.streaming import break_even_bytes
from plethprint.cost.words import lines, plain_verdicts, turnover
from plethprint.errors import PackageIncompatibleError, PackageIntegrityError

MODEL = "plethprint-micro@1+0a1b2c3d"
BY_NAME = {processor.name: processor for processor in PROCESSORS}
STREAMS = {stream.name: stream for stream in RAW_STREAMS}
SHAPE = "0a1b2c3d"
CORE = {
    "core": "m4f",
    "arithmetic": "dsp",
    "flash_bytes": 120_000,
    "workspace_bytes": 20_000,
    "stack_bytes": 1_000,
    "instructions_encode": 5_000_000,
    "instructions_fingerprint": 6_000_000,
    "instructions_all_in": 7_000_000,
}


def network(macs=2_000_000):
    steps = [{"name": "CONV <1x1>", "output_shape": [1, 4], "macs": macs, "parameters": 7}]
    files = {"encoder.tflite": 133_256}
    return Network(MODEL, 64, 10.0, 88_752, macs, 92_928, 10_240, files, 132, steps)


@pytest.fixture
def measured(tmp_path):
    def write(content):
        file = tmp_path / "measured.json"
        text = content if isinstance(content, str) else json.dumps(content)
        file.write_text(text)
        return file

    return write


# Time and energy of computing


@pytest.mark.parametrize(
    ("name", "ms", "uj"),
    [
        # per million MACs, as the published table rounds them
        ("nRF52840 (tuned kernels)", (24.8, 30.6), (246, 303)),
        ("nRF5340 (plain kernels)", (25.29, 28.64), None),
        ("STM32U575", (8.76, 10.91), (205, 250)),
        ("Apollo4 Plus", None, (160, 169.4)),
    ],
)
def test_a_million_macs_cost_what_the_published_runs_say(name, ms, uj):
    found = BY_NAME[name].from_macs(1_000_000)
    for band, expected in ((found.ms, ms), (found.uj, uj)):
        if expected is None:
            assert band is None
        else:
            assert (band.low, band.high) == pytest.approx(expected, rel=0.003)
    assert found.basis == "MACs"
    assert found.source


def test_plain_kernels_on_the_nrf52840_lie_within_a_percent_of_the_published_table():
    found = BY_NAME["nRF52840 (plain kernels)"].from_macs(1_000_000)
    assert (found.ms.low, found.ms.high) == pytest.approx((57.9, 71.0), rel=0.01)
    assert (found.uj.low, found.uj.high) == pytest.approx((573, 703), rel=0.01)


def test_time_of_counted_instructions_is_instructions_by_cycles_by_the_clock():
    found = BY_NAME["nRF52840 (tuned kernels)"].from_instructions(6_400_000)
    # 6.4 M at 64 MHz: 100 ms at one cycle each, 150 at one and a half; 9.9 mW
    assert (found.ms.low, found.ms.high) == pytest.approx((100.0, 150.0))
    assert (found.uj.low, found.uj.high) == pytest.approx((990.0, 1485.0))
    assert "assumed" in found.source


def test_what_nobody_has_published_is_not_made_up():
    assert BY_NAME["Apollo4 Plus"].from_instructions(1_000_000) is None
    assert BY_NAME["nRF5340 (plain kernels)"].from_instructions(1_000_000).uj is None


def test_a_band_goes_upwards():
    with pytest.raises(ValueError, match="upwards"):
        Band(2.0, 1.0)


# Radio


@pytest.mark.parametrize(
    ("variant", "payload", "us", "uj"),
    [
        (0, 244, 2500, 56.3),
        (0, 20, 708, 12.7),
        (1, 244, 1408, 29.7),
        (1, 20, 512, 7.9),
        (2, 244, 2500, 34.3),
        (2, 20, 708, 8.5),
        (3, 244, 1408, 18.6),
        (3, 20, 512, 5.7),
    ],
)
def test_a_packet_costs_its_time_on_air(variant, payload, us, uj):
    assert VARIANTS[variant].packet_us(payload) == pytest.approx(us)
    assert VARIANTS[variant].packet_uj(payload) == pytest.approx(uj, abs=0.05)


def test_a_packet_is_worked_out_by_hand():
    # 265 bytes at 8 us and 8.1 mA, 10 at 8.6 mA, 300 us at 3 mA, all at 3 V
    by_hand = (265 * 8 * 8.1 + 10 * 8 * 8.6 + 300 * 3.0) * 3.0 / 1000
    assert RadioAssumptions().packet_uj(244) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("channels", "variant", "live", "gathered", "fingerprint", "with_link"),
    [
        # mJ in 10 s: raw every 100 ms, raw every second, 256 bytes alone and on a 1 s link
        (1, 0, 2.81, 1.03, 0.079, 0.187),
        (1, 1, 2.16, 0.60, 0.049, 0.157),
        (1, 2, 2.25, 0.68, 0.054, 0.162),
        (1, 3, 1.87, 0.43, 0.036, 0.144),
        (2, 0, 3.54, 1.93, 0.079, 0.187),
        (3, 0, 4.27, 2.75, 0.079, 0.187),
        (3, 3, 2.31, 1.00, 0.036, 0.144),
    ],
)
def test_ten_seconds_of_radio_cost_what_the_anchors_say(
    channels, variant, live, gathered, fingerprint, with_link
):
    raw = 3750 * channels
    traffic = [
        Traffic(raw, 10.0, 0.1, 0.1),
        Traffic(raw, 10.0, 1.0, 1.0),
        Traffic(256, 10.0, 10.0, 10.0),
        Traffic(256, 10.0, 10.0, 1.0),
    ]
    found = [t.uj(VARIANTS[variant]) / 1000 for t in traffic]
    assert found[:2] == pytest.approx([live, gathered], abs=0.0051)
    assert found[2:] == pytest.approx([fingerprint, with_link], abs=0.00051)


@pytest.mark.parametrize(
    "wrong",
    [
        {"transmit_ma": -1.0},
        {"supply_v": float("nan")},
        {"phy": "coded"},
        {"payload_bytes": 512},
    ],
)
def test_assumptions_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).replace("phy", "PHY")):
        RadioAssumptions(**wrong)


@pytest.mark.parametrize("position", range(4))
def test_traffic_of_nothing_is_refused(position):
    values = [100.0, 10.0, 1.0, 1.0]
    values[position] = 0.0
    with pytest.raises(ValueError, match="above 0"):
        Traffic(*values)


# Who spends less


def test_raw_at_25_hz_gathered_for_a_window_costs_what_half_a_million_macs_do():
    found = compare(
        STREAMS["25 Hz x 16 bit"],
        10.0,
        fingerprint_bytes=132,
        every_s=10.0,
        compute_uj={},
        processors=(),
    )
    assert (found.raw_uj.low, found.raw_uj.high) == pytest.approx((54.5, 135.7), abs=0.1)
    half = BY_NAME["nRF52840 (tuned kernels)"].from_macs(500_000).uj
    assert found.raw_uj.high == pytest.approx(half.low, rel=0.12)


def test_the_verdict_follows_the_saving_and_the_cost():
    def verdict(low, high):
        found = compare(
            STREAMS["125 Hz x 24 bit"],
            1.0,
            fingerprint_bytes=132,
            every_s=10.0,
            compute_uj={"chip": Band(low, high)},
            processors=PROCESSORS,
        )
        return found.verdicts["chip"], found.saving_uj

    _, saving = verdict(1.0, 1.0)
    assert verdict(1.0, saving.low - 1)[0] == "fingerprints"
    assert verdict(saving.high + 1, saving.high + 2)[0] == "raw"
    assert verdict(saving.low - 1, saving.high + 1)[0] == "within the band"


def test_the_network_that_breaks_even_eats_up_the_saving():
    found = compare(
        STREAMS["125 Hz x 24 bit"],
        1.0,
        fingerprint_bytes=132,
        every_s=10.0,
        compute_uj={},
        processors=PROCESSORS,
    )
    chip = BY_NAME["STM32U575"]
    even = found.break_even_mmac["STM32U575"]
    assert even.low * chip.uj_per_mmac.high == pytest.approx(found.saving_uj.low)
    assert even.high * chip.uj_per_mmac.low == pytest.approx(found.saving_uj.high)
    assert "nRF5340 (plain kernels)" not in found.break_even_mmac


@pytest.mark.parametrize("send_every_s", [1.0, 10.0])
@pytest.mark.parametrize("compute_uj", [150.0, 500.0, 2000.0])
def test_break_even_is_the_first_byte_count_that_pays(send_every_s, compute_uj):
    def saving(count):
        raw = Traffic(count, 10.0, send_every_s, send_every_s)
        own = Traffic(132, 10.0, 10.0, send_every_s)
        return raw.uj(VARIANTS[0]) - own.uj(VARIANTS[0])

    found = break_even_bytes(compute_uj, send_every_s, fingerprint_bytes=132, every_s=10.0)
    assert saving(found) >= compute_uj > saving(found - 1)


def test_a_cost_that_no_stream_reaches_never_breaks_even():
    found = break_even_bytes(1e12, 1.0, fingerprint_bytes=132, every_s=10.0)
    assert found is None
    assert turnover(found) == "never"


# The report


def test_the_report_says_where_streaming_is_cheaper():
    told = "\n".join(plain_verdicts(cost_report(network())))
    assert re.search(r"25 Hz x 16 bit, gathered for 10 s: .*CHEAPER on every", told)
    assert re.search(r"125 Hz x 24 bit, live.*fingerprints are cheaper on every", told)


def test_a_network_that_costs_nothing_is_never_dearer_than_raw_streams():
    report = cost_report(network(macs=0))
    assert all(v == "fingerprints" for c in report.comparisons for v in c.verdicts.values())


def test_storage_is_bytes_by_seconds():
    kept = {s.what: s.bytes_per_day for s in cost_report(network(), every_s=5.0).storage}
    assert kept["raw, 125 Hz x 24 bit"] == 125 * 3 * 86_400
    assert kept["fingerprints, one every 5 s"] == 132 * 86_400 / 5


def test_every_projection_is_marked_and_has_a_source():
    made = cost_report(network()).to_dict()
    assert {p["processor"].partition(" (")[0] for p in made["projections"]} == {
        "nRF52840",
        "nRF5340",
        "STM32U575",
        "Apollo4 Plus",
    }
    assert all(p["projection"] is True and p["source"] for p in made["projections"])


def test_the_json_keeps_its_keys():
    made = cost_report(network()).to_dict()
    assert json.loads(json.dumps(made)) == made
    assert made["schema"] == 1
    assert list(made) == [
        "schema",
        "network",
        "every_s",
        "firmware",
        "projections",
        "radio",
        "storage_per_day",
    ]
    assert set(made["network"]) == {
        "model",
        "dim",
        "window_s",
        "parameters",
        "macs",
        "constant_bytes",
        "activation_bytes",
        "file_bytes",
        "fingerprint_bytes",
        "steps",
    }
    assert set(made["projections"][0]) == {
        "processor",
        "ms",
        "uj",
        "basis",
        "source",
        "projection",
    }
    assert set(made["radio"]) == {"assumptions", "comparisons", "turnovers"}
    assert set(made["radio"]["comparisons"][0]) == {
        "raw",
        "raw_bytes",
        "send_every_s",
        "raw_uj",
        "fingerprint_radio_uj",
        "saving_uj",
        "break_even_mmac",
        "verdicts",
    }
    assert set(made["storage_per_day"][0]) == {"what", "bytes_per_day"}


@pytest.mark.parametrize("every_s", [0.0, 61.0, float("nan")])
def test_a_rhythm_out_of_range_is_refused(every_s):
    with pytest.raises(ValueError, match=r"0\.1 to 60"):
        cost_report(network(), every_s=every_s)


def test_without_a_measurement_the_firmware_is_not_told():
    report = cost_report(network())
    assert report.to_dict()["firmware"] is None
    assert any("not measured" in line for line in lines(report))
    assert "not measured" in html_page(report)
    assert {p.basis for p in report.projections} == {"MACs"}


def test_a_measurement_is_told_and_projected(measured):
    file = measured({"shape": SHAPE, "cores": {"m4f": CORE}})
    report = cost_report(network(), firmware=read_measurement(file, shape=SHAPE))
    core = report.to_dict()["firmware"]["cores"]["m4f"]
    # a window every 10 s has twice the samples of the 5 s that were counted
    assert core["instructions_per_window"] == 8_000_000
    (counted,) = [p for p in report.projections if p.basis == "instructions"]
    assert counted.processor == "nRF52840 (this firmware)"
    assert counted.ms.low == pytest.approx(125.0)
    assert counted.processor in report.comparisons[0].verdicts
    assert "8,000,000" in html_page(report)
    assert any("8,000,000 instructions, 120,000 B flash" in line for line in lines(report))


@pytest.mark.parametrize(
    ("content", "error", "word"),
    [
        ("{", PackageIntegrityError, "cannot be read"),
        ("[" * 100_000, PackageIntegrityError, "cannot be read"),
        ([], PackageIncompatibleError, "no firmware measurement"),
        ({"shape": SHAPE, "cores": {}}, PackageIncompatibleError, "no core"),
        (
            {"shape": "00000000", "cores": {"m4f": CORE}},
            PackageIncompatibleError,
            "architecture '00000000'",
        ),
        (
            {"shape": SHAPE, "cores": {"m4f": {**CORE, "workspace_bytes": None}}},
            PackageIncompatibleError,
            "workspace_bytes of m4f",
        ),
        (
            {"shape": SHAPE, "cores": {"m4f": {**CORE, "flash_bytes": -1}}},
            PackageIncompatibleError,
            "flash_bytes of m4f",
        ),
        (
            {"shape": SHAPE, "cores": {"m3": 3}},
            PackageIncompatibleError,
            "m3",
        ),
    ],
)
def test_a_measurement_that_is_none_is_refused(measured, content, error, word):
    with pytest.raises(error, match=word):
        read_measurement(measured(content), shape=SHAPE)


def test_a_measurement_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PackageIntegrityError, match=r"none\.json"):
        read_measurement(tmp_path / "none.json", shape=SHAPE)


@pytest.mark.parametrize("macs", [0, 1, 10**12])
@pytest.mark.parametrize("every_s", [0.1, 60.0])
def test_a_page_is_drawn_for_any_network_and_rhythm(macs, every_s):
    page = html_page(cost_report(network(macs), every_s=every_s))
    assert len(page) < 60_000
    assert "nan" not in page


def test_the_page_needs_nothing_from_elsewhere():
    page = html_page(cost_report(network()), command="plethprint report --html a&b.html")
    assert not re.search(r"(src|href|url\(|@import|<script|<link|https?:)", page)
    assert page.count("<svg") == page.count("</svg>") == 3
    assert "projection" in page
    assert "CONV &lt;1x1&gt;" in page
    assert "a&amp;b.html" in page
