"""The virtual wearable, held against ``docs/ble-profile.md`` over the whole stack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plethprint.ble import open_profile as profile
from plethprint.fingerprint import Fingerprint
from plethprint.signal import PPG
from plethprint_sim import virtual_time
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

Connected = Callable[..., Any]
Status = profile.ControlStatus

MODEL = "toy@1+0a1b2c3d"


class Encoder:
    """First eight samples of the window, negated."""

    runtime = "toy"
    dim = 8

    def run(self, windows: np.ndarray) -> np.ndarray:
        return (-windows[:, :8]).astype(np.int8)


class Fingerprinter:
    """A fingerprint for every second of samples; the vector tells the first of them."""

    def stream(
        self, sample_rate_hz: float, *, hop_s: float, polarity: int, start: float
    ) -> Any:
        return _ToyStream(sample_rate_hz, start)


class _ToyStream:
    def __init__(self, sample_rate_hz: float, start: float) -> None:
        self._rate_hz, self._start, self._samples = sample_rate_hz, start, np.empty(0)
        self._taken = 0

    def push(self, samples: np.ndarray) -> list[Fingerprint]:
        self._samples = np.concatenate([self._samples, samples])
        ready, size = [], int(self._rate_hz)
        while len(self._samples) >= size:
            vector = np.zeros(Encoder.dim, np.int8)
            vector[0] = 1 + int(self._samples[0]) // size % 100
            ready.append(
                Fingerprint(
                    vector=vector,
                    scale=1.0 / float(vector[0]),
                    start=self._start + self._taken / self._rate_hz,
                    duration_s=1.0,
                    quality=1.0,
                    model=MODEL,
                )
            )
            self._samples, self._taken = self._samples[size:], self._taken + size
        return ready


def play(
    scenario: Callable[[VirtualWorld], Any], wearable: VirtualWearable, **world: Any
) -> Any:
    """Run a scenario in a virtual world, on virtual time."""

    async def whole() -> Any:
        async with VirtualWorld(wearable, **world) as made:
            return await scenario(made)

    return virtual_time.run(whole())


def test_frames_arrive_in_order_bit_exact_and_at_the_sample_rate(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            response = await host.start(0b11)
            await asyncio.sleep(10.0)
        return host, response

    host, response = play(scenario, VirtualWearable(ramp(columns=2), channels=_two()))
    frames, counts = host.frames, host.counts
    assert response.status is Status.OK
    assert response.state.flags == profile.StreamFlags.STREAMING
    assert np.array_equal(counts[:, 0], np.arange(len(counts)))
    assert np.array_equal(counts[:, 1], 1000 + np.arange(len(counts)))
    assert [f.sequence for f in frames] == list(range(len(frames)))
    assert len(counts) == pytest.approx(10.0 * 125, abs=20)
    assert {f.samples for f in frames} == {16}
    assert {f.status for f in frames} == {profile.FrameStatus.CONTACT}
    expected_us = frames[0].device_time_us + np.arange(len(frames)) * 128_000
    assert [f.device_time_us for f in frames] == expected_us.tolist()


def test_one_channel_of_two_may_be_chosen(connected: Connected, ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.start(0b10)
            await asyncio.sleep(1.0)
        return host

    host = play(scenario, VirtualWearable(ramp(columns=2), channels=_two()))
    assert host.counts.shape[1] == 1
    assert host.counts[0, 0] == 1000


@pytest.mark.parametrize("max_mtu", [23, 27, 61, 247])
def test_frames_fit_the_mtu_and_hold_every_sample(
    connected: Connected, ramp: Any, max_mtu: int
) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(2.0)
        return host

    host = play(scenario, VirtualWearable(ramp(), max_mtu=max_mtu), packets_per_event=20)
    counts = host.counts[:, 0]
    assert np.array_equal(counts, np.arange(len(counts)))
    assert len(counts) > 200
    assert max(len(value) for _, value in host.notified) <= max_mtu - 3


def test_a_bad_request_gets_the_response_that_says_why(
    connected: Connected, ramp: Any
) -> None:
    start, opcode = profile.ControlRequest, profile.Opcode
    requests = {
        b"\x77": Status.UNKNOWN_OPCODE,
        b"": Status.BAD_LENGTH,
        b"\x10\x00": Status.BAD_LENGTH,
        b"\x02\x00": Status.BAD_LENGTH,
        start(opcode.START, rate_mhz=1000, channel_mask=1): Status.UNSUPPORTED_RATE,
        start(opcode.START, rate_mhz=125_000): Status.UNSUPPORTED_CHANNELS,
        start(opcode.START, rate_mhz=125_000, channel_mask=2): Status.UNSUPPORTED_CHANNELS,
        start(opcode.CAPABILITIES, channel_mask=4): Status.UNSUPPORTED_CHANNELS,
        start(opcode.START_FINGERPRINTS, hop_ms=5000): Status.NOT_SUPPORTED,
    }

    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            await host.listen()
            for request, status in requests.items():
                response = await host.ask(request)
                assert response.status is status, request
                sent = request if isinstance(request, bytes) else request.to_bytes()
                assert response.opcode == (sent[0] if sent else 0)
            assert (await host.start()).status is Status.OK

    play(scenario, VirtualWearable(ramp()))


def test_starting_before_subscribing_is_refused(connected: Connected, ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.client.stop_notify(profile.PPG_UUID)
            return (await host.start()).status

    assert play(scenario, VirtualWearable(ramp())) is Status.NOT_SUBSCRIBED


def test_four_channels_do_not_fit_the_smallest_mtu(connected: Connected, ramp: Any) -> None:
    wearable = VirtualWearable(ramp(columns=4), channels=[*_two(), *_two()], max_mtu=23)

    async def scenario(world: VirtualWorld) -> list[Any]:
        async with connected(world) as host:
            await host.listen()
            return [(await host.start(mask)).status for mask in (0b1111, 0b1)]

    assert play(scenario, wearable) == [Status.MTU_TOO_SMALL, Status.OK]


def test_capabilities_and_state_are_told(connected: Connected, ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            await host.listen()
            asked = profile.ControlRequest(profile.Opcode.CAPABILITIES, channel_mask=1)
            can = (await host.ask(asked)).capabilities
            assert can == profile.Capabilities(1, 19, (125_000,))
            state = profile.ControlRequest(profile.Opcode.STATE)
            idle = (await host.ask(state)).state
            assert (idle.flags, idle.rate_mhz, idle.next_index) == (0, 0, 0)
            await host.start()
            await asyncio.sleep(2.0)
            running = (await host.ask(state)).state
            assert running.flags == profile.StreamFlags.STREAMING
            assert running.rate_mhz == 125_000
            assert running.next_index == pytest.approx(250, abs=10)
            elapsed_us = running.device_time_us - idle.device_time_us
            assert elapsed_us == pytest.approx(2e6, abs=0.3e6)

    play(scenario, VirtualWearable(ramp(), bits=19))


def test_stopping_silences_and_the_sample_clock_runs_on(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(2.0)
            stopped = await host.ask(profile.ControlRequest(profile.Opcode.STOP))
            assert stopped.state.flags == 0
            heard = len(host.notified)
            await asyncio.sleep(4.0)
            assert len(host.notified) == heard
            again = await host.start()
            assert profile.StreamFlags.RESUMED not in again.state.flags
            await asyncio.sleep(1.0)
            first = host.frames[heard]
            assert first.sequence == 0
            assert first.first_index == again.state.next_index == first.counts[0, 0]
            assert first.first_index == pytest.approx(6 * 125, abs=20)

    play(scenario, VirtualWearable(ramp()))


def test_a_stream_survives_a_lost_link_and_loses_only_what_the_buffer_could_not_hold(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, Any, Any]:
        async with connected(world) as before:
            await before.listen()
            await before.start()
            await asyncio.sleep(5.0)
            world.link_loss()
            await asyncio.sleep(8.0)
        async with connected(world) as after:
            await after.listen()
            response = await after.start()
            await asyncio.sleep(5.0)
        return before.frames, after.frames, response

    before, after, response = play(scenario, VirtualWearable(ramp(), buffer_s=2.0))
    assert profile.StreamFlags.RESUMED in response.state.flags
    hole = after[0].sequence - before[-1].sequence - 1
    assert after[0].overflow_frames == hole > 30
    assert profile.FrameStatus.DROPPED in after[0].status
    assert profile.FrameStatus.DROPPED not in after[1].status
    missing = after[0].first_index - (before[-1].first_index + before[-1].samples)
    assert missing == 16 * hole
    counts = np.concatenate([frame.counts[:, 0] for frame in after])
    assert np.array_equal(counts, counts[0] + np.arange(len(counts)))
    assert counts[0] == after[0].first_index
    assert response.state.next_index - after[0].first_index == pytest.approx(250, abs=16)


def test_nothing_of_an_earlier_link_is_sent_before_start(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as before:
            await before.listen()
            await before.start(0b01)
            await asyncio.sleep(3.0)
            world.link_loss()
        async with connected(world) as after:
            await after.listen()
            await asyncio.sleep(1.0)
            assert after.notified == []
            response = await after.start(0b10)  # another channel
            assert profile.StreamFlags.RESUMED not in response.state.flags
            await asyncio.sleep(1.0)
            assert after.frames[0].first_index >= response.state.next_index
            assert after.frames[0].counts[0, 0] == 1000 + after.frames[0].first_index

    play(scenario, VirtualWearable(ramp(columns=2), channels=_two()))


def test_a_short_absence_leaves_no_gap(connected: Connected, ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, Any]:
        async with connected(world) as before:
            await before.listen()
            await before.start()
            await asyncio.sleep(3.0)
            world.link_loss()
        async with connected(world) as after:
            await after.listen()
            await after.start()
            await asyncio.sleep(3.0)
        return before.frames, after.frames

    before, after = play(scenario, VirtualWearable(ramp(), buffer_s=4.0))
    sequence = [frame.sequence for frame in before + after]
    assert sequence == list(range(len(sequence)))
    assert after[0].overflow_frames == 0


def test_a_stream_that_nobody_comes_back_for_ends(connected: Connected, ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(1.0)
        await asyncio.sleep(20.0)
        async with connected(world) as host:
            await host.listen()
            return await host.start()

    response = play(scenario, VirtualWearable(ramp(), linger_s=10))
    assert profile.StreamFlags.RESUMED not in response.state.flags
    assert response.state.sequence == 0
    assert response.state.next_index > 20 * 125


def test_a_stall_beyond_the_buffer_is_counted_as_overflow(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(3.0)
            await world.stall(5.0)
            await asyncio.sleep(3.0)
        return host.frames

    frames = play(scenario, VirtualWearable(ramp(), buffer_s=1.0))
    holes = np.diff([frame.sequence for frame in frames]) - 1
    (at,) = np.flatnonzero(holes)
    assert holes[at] == frames[-1].overflow_frames > 20
    assert profile.FrameStatus.DROPPED in frames[at + 1].status
    assert [f.overflow_frames for f in frames[: at + 1]] == [0] * (at + 1)


def test_a_fast_crystal_samples_faster(connected: Connected, ramp: Any) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(100.0)
        return host

    def rate_hz(ppm: float) -> float:
        host = play(scenario, VirtualWearable(ramp(), clock_error_ppm=ppm))
        first, last = host.frames[0], host.frames[-1]
        elapsed_s = host.arrivals_s[-1] - host.arrivals_s[0]
        device_s = (last.device_time_us - first.device_time_us) / 1e6
        samples = last.first_index - first.first_index
        assert samples / device_s == pytest.approx(125.0, rel=1e-6)
        return float(samples / elapsed_s)

    assert rate_hz(2000.0) / rate_hz(0.0) == pytest.approx(1.002, abs=0.0003)


def test_the_end_of_a_recording_ends_the_stream_with_its_last_sample(
    connected: Connected, ramp: Any
) -> None:
    wearable = VirtualWearable(ramp(length=333))

    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.wait_for(wearable.device_firmware.exhausted.wait(), 10.0)
            await asyncio.sleep(1.0)
            state = await host.ask(profile.ControlRequest(profile.Opcode.STATE))
            assert state.state.flags == 0
        return host

    assert play(scenario, wearable).counts[:, 0].tolist() == list(range(333))


def test_the_sensor_tells_contact_motion_and_saturation(
    connected: Connected, ramp: Any
) -> None:
    class Eventful(type(ramp())):  # type: ignore[misc]
        def contact(self, start_index: int, count: int) -> np.ndarray:
            return np.arange(start_index, start_index + count) < 160

        def motion(self, start_index: int, count: int) -> np.ndarray:
            return np.arange(start_index, start_index + count) == 40

        def counts(self, start_index: int, count: int) -> np.ndarray:
            return super().counts(start_index, count) * 1000

    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(4.0)
        return host.frames

    frames = play(scenario, VirtualWearable(Eventful(), bits=19))
    bits, limit = profile.FrameStatus, (1 << 18) - 1
    for i, frame in enumerate(frames):
        assert (bits.CONTACT in frame.status) == (i < 10)
        assert (bits.MOTION in frame.status) == (i == 2)
        assert (bits.SATURATED in frame.status) == (frame.counts.max() == limit)
        assert frame.counts.max() <= limit
    assert bits.SATURATED in frames[-1].status


def test_the_self_test_gives_what_the_device_computes(
    connected: Connected, ramp: Any
) -> None:
    window = np.random.default_rng(0).integers(-127, 128, PPG.window_samples)
    window = window.astype(np.int8)
    wearable = VirtualWearable(ramp(), encoder=Encoder(), encode_time_s=0.05)

    async def scenario(world: VirtualWorld) -> list[Any]:
        async with connected(world) as host:
            return [
                await _self_test(host, window, 1),
                await _self_test(host, window[:-1], 2),
                await _self_test(host, window, 3, lose_chunk=True),
                await _self_test(host, window, 4),
            ]

    first, short, incomplete, again = play(scenario, wearable)
    for result in (first, again):
        assert result.status is profile.SelfTestStatus.OK
        assert np.array_equal(result.vector, Encoder().run(window[None])[0])
        assert result.run_time_us == 50_000
    assert short.status is profile.SelfTestStatus.WRONG_SIZE
    assert incomplete.status is profile.SelfTestStatus.INCOMPLETE


def test_the_self_test_works_at_the_smallest_mtu(connected: Connected, ramp: Any) -> None:
    window = np.arange(PPG.window_samples).astype(np.int8)
    wearable = VirtualWearable(ramp(), encoder=Encoder(), max_mtu=23)

    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            return await _self_test(host, window, 9)

    assert play(scenario, wearable).vector.tolist() == [0, -1, -2, -3, -4, -5, -6, -7]


def test_a_device_without_encoder_or_with_a_broken_one_says_so(
    connected: Connected, ramp: Any
) -> None:
    class Broken(Encoder):
        def run(self, windows: np.ndarray) -> np.ndarray:
            raise RuntimeError("no memory")

    window = np.zeros(PPG.window_samples, np.int8)

    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            return (await _self_test(host, window, 1)).status

    statuses = profile.SelfTestStatus
    assert play(scenario, VirtualWearable(ramp())) is statuses.NO_MODEL
    assert play(scenario, VirtualWearable(ramp(), encoder=Broken())) is statuses.INTERNAL


def test_fingerprints_come_from_the_device_with_the_time_of_day(
    connected: Connected, ramp: Any
) -> None:
    async def scenario(world: VirtualWorld) -> tuple[Any, ...]:
        async with connected(world) as host:
            await host.listen()
            start = profile.ControlRequest(profile.Opcode.START_FINGERPRINTS, hop_ms=5000)
            refused = await host.ask(start)
            await host.client.start_notify(
                profile.FINGERPRINT_UUID,
                lambda _, value: host.fingerprints.append(bytes(value)),
            )
            set_time = profile.ControlRequest(
                profile.Opcode.SET_TIME, unix_time_us=1_700_000_000_000_000
            )
            assert profile.StreamFlags.TIME_SET in (await host.ask(set_time)).state.flags
            started = await host.ask(start)
            await asyncio.sleep(5.5)
            await host.start()
            await asyncio.sleep(3.0)
            await host.ask(profile.ControlRequest(profile.Opcode.STOP_FINGERPRINTS))
            heard = len(host.fingerprints)
            await asyncio.sleep(2.0)
            assert len(host.fingerprints) == heard
        return refused, started, host

    wearable = VirtualWearable(
        ramp(), encoder=Encoder(), fingerprinter=Fingerprinter(), model=MODEL
    )
    refused, started, host = play(scenario, wearable)
    assert refused.status is Status.NOT_SUBSCRIBED
    assert profile.StreamFlags.FINGERPRINTS in started.state.flags
    fingerprints = [Fingerprint.from_bytes(value) for value in host.fingerprints]
    assert [fp.vector[0] for fp in fingerprints[:8]] == list(range(1, 9))
    starts = np.array([fp.start for fp in fingerprints])
    assert starts[0] == pytest.approx(1_700_000_000.0, abs=0.2)
    assert np.diff(starts) == pytest.approx(1.0)
    counts = host.counts[:, 0]  # the raw stream joined later, in step with the clock
    assert counts[0] == host.frames[0].first_index > 600
    assert np.array_equal(counts, counts[0] + np.arange(len(counts)))


def test_a_fingerprint_that_does_not_fit_the_mtu_is_refused(
    connected: Connected, ramp: Any
) -> None:
    wearable = VirtualWearable(
        ramp(),
        encoder=Encoder(),
        fingerprinter=Fingerprinter(),
        model=MODEL,
        max_mtu=41 + 8 + len(MODEL) + 2,
    )

    async def scenario(world: VirtualWorld) -> Any:
        async with connected(world) as host:
            await host.listen()
            await host.client.start_notify(profile.FINGERPRINT_UUID, lambda *_: None)
            return await host.ask(
                profile.ControlRequest(profile.Opcode.START_FINGERPRINTS, hop_ms=5000)
            )

    assert play(scenario, wearable).status is Status.MTU_TOO_SMALL


def test_a_failing_source_is_reported_when_the_world_ends(
    connected: Connected, ramp: Any
) -> None:
    class Failing(type(ramp())):  # type: ignore[misc]
        def counts(self, start_index: int, count: int) -> np.ndarray:
            if start_index > 200:
                raise RuntimeError("the recording is broken")
            return super().counts(start_index, count)

    async def scenario(world: VirtualWorld) -> None:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(5.0)
            assert 200 <= len(host.counts) < 250

    with pytest.raises(RuntimeError, match="the recording is broken"):
        play(scenario, VirtualWearable(Failing()))


def test_garbage_can_be_sent_to_see_what_a_host_makes_of_it(
    connected: Connected, ramp: Any
) -> None:
    wearable = VirtualWearable(ramp())

    async def scenario(world: VirtualWorld) -> list[bytes]:
        await wearable.notify_raw(b"nobody listens")
        async with connected(world) as host:
            await host.listen()
            await wearable.notify_raw(b"garbage")
            await asyncio.sleep(0.1)
            return [value for _, value in host.notified]

    assert play(scenario, wearable) == [b"garbage"]


def test_a_wearable_can_be_switched_on_again(connected: Connected, ramp: Any) -> None:
    wearable = VirtualWearable(ramp())

    async def scenario(world: VirtualWorld) -> int:
        async with connected(world) as host:
            await host.listen()
            await host.start()
            await asyncio.sleep(1.0)
            return int(host.counts[0, 0])

    assert [play(scenario, wearable) for _ in range(2)] == [0, 0]
    with pytest.raises(RuntimeError, match="not switched on"):
        _ = wearable.device_firmware


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "x" * 30},
        {"max_mtu": 22},
        {"channels": ()},
        {"bits": 25},
        {"fingerprinter": Fingerprinter()},
    ],
)
def test_an_impossible_wearable_is_refused(ramp: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        VirtualWearable(ramp(), **options)


def _two() -> list[profile.Channel]:
    return [
        profile.Channel(profile.ChannelKind.GREEN, 1, 525),
        profile.Channel(profile.ChannelKind.INFRARED, 1, 940),
    ]


async def _self_test(
    host: Any, window: np.ndarray, test_id: int, *, lose_chunk: bool = False
) -> profile.SelfTestResult:
    collector = profile.SelfTestCollector(test_id)
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def on_answer(_: Any, value: bytearray) -> None:
        result = collector.feed(value)
        if result is not None:
            done.set_result(result)

    await host.client.start_notify(profile.SELF_TEST_UUID, on_answer)
    messages = profile.self_test_requests(window, mtu=host.client.mtu_size, test_id=test_id)
    if lose_chunk:
        del messages[1]
    for message in messages:
        await host.client.write_gatt_char(profile.SELF_TEST_UUID, message, response=True)
    result = await asyncio.wait_for(done, 10.0)
    await host.client.stop_notify(profile.SELF_TEST_UUID)
    return result
