"""Every corpus in the form its authors publish, written small and read back."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plethprint.errors import MissingExtraError, RecordingError
from plethprint_distill.corpora import CORPORA, CorpusRecording
from plethprint_distill.corpora.array_pickles import load_arrays
from plethprint_distill.corpora.recording import STRETCH_S, stretches

h5py = pytest.importorskip("h5py", reason="needs the `corpora` extra")
wfdb = pytest.importorskip("wfdb", reason="needs the `corpora` extra")
vitaldb = pytest.importorskip("vitaldb", reason="needs the `corpora` extra")
openpyxl = pytest.importorskip("openpyxl", reason="needs the `corpora` extra")
scipy_io = pytest.importorskip("scipy.io", reason="needs the `corpora` extra")

Array = np.ndarray


def wave(seconds: float, rate_hz: float, hz: float = 1.2) -> Array:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def read(name: str, folder: Path) -> list[CorpusRecording]:
    return list(CORPORA[name].read(folder))


def write_wfdb(
    folder: Path,
    record: str,
    rate_hz: float,
    signals: dict[str, Array],
    comments: list[str],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        record,
        fs=rate_hz,
        units=["mV"] * len(signals),
        sig_name=list(signals),
        p_signal=np.stack(list(signals.values()), axis=1),
        fmt=["16"] * len(signals),
        comments=comments,
        write_dir=str(folder),
    )


def write_columns(path: Path, columns: dict[str, Array]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        rows = zip(*columns.values(), strict=True)
        writer.writerows([["" if np.isnan(x) else x for x in row] for row in rows])


# --- BIDMC ---------------------------------------------------------------------------


def write_bidmc_csv(folder: Path) -> None:
    for number, person in (("01", "s01182"), ("02", "s01182"), ("03", "s01795")):
        ppg = wave(20, 125)
        ppg[100:110] = np.nan
        time = np.arange(ppg.size) / 125
        signals = {"Time [s]": time, " RESP": ppg, " PLETH": ppg, " V": ppg, " II": -ppg}
        write_columns(folder / "bidmc_csv" / f"bidmc_{number}_Signals.csv", signals)
        write_columns(
            folder / "bidmc_csv" / f"bidmc_{number}_Numerics.csv",
            {"Time [s]": time[:3], " HR": np.array([90, np.nan, 92]), " SpO2": time[:3]},
        )
        (folder / "bidmc_csv" / f"bidmc_{number}_Fix.txt").write_text(
            f"Age: 88\nGender: M\nLocation: micu\nSource: mimic2wdb/matched/{person}\n"
        )


def test_bidmc_is_read_from_its_csv_files(tmp_path: Path) -> None:
    write_bidmc_csv(tmp_path)
    found = read("bidmc", tmp_path)
    assert [r.record for r in found] == ["bidmc01", "bidmc02", "bidmc03"]
    assert [r.person for r in found] == ["s01182", "s01182", "s01795"]
    first = found[0]
    assert first.ppg_rate_hz == first.ecg_rate_hz == 125.0
    assert np.flatnonzero(np.isnan(first.ppg)).tolist() == list(range(100, 110))
    np.testing.assert_allclose(first.ecg, -wave(20, 125), atol=1e-6, equal_nan=False) if (
        np.isfinite(first.ecg).all()
    ) else np.testing.assert_array_equal(np.isnan(first.ecg), np.isnan(first.ppg))
    assert first.labels == {
        "age": "88",
        "sex": "M",
        "hr": 91.0,
        "spo2": pytest.approx(0.008),
    }


def test_bidmc_is_read_from_its_wfdb_records(tmp_path: Path) -> None:
    signals = {
        "RESP,": wave(20, 125, 0.2),
        "PLETH,": wave(20, 125),
        "II,": wave(20, 125, 3),
    }
    write_wfdb(tmp_path, "bidmc07", 125, signals, ["<age>: 64 <sex>: F <id>: s03386"])
    write_wfdb(tmp_path, "bidmc07n", 1, {"HR,": wave(20, 1, 0.1)}, [])
    (only,) = read("bidmc", tmp_path)
    assert (only.person, only.record) == ("s03386", "bidmc07")
    assert only.labels == {"age": "64", "sex": "F"}
    np.testing.assert_allclose(only.ppg, wave(20, 125), atol=1e-3)
    np.testing.assert_allclose(only.ecg, wave(20, 125, 3), atol=1e-3)


# --- MIMIC PERform -------------------------------------------------------------------


def test_mimic_perform_is_read_from_csv(tmp_path: Path) -> None:
    folder = tmp_path / "mimic_perform_af_csv"
    time = np.arange(2500) / 125
    columns = {"Time": time, "PPG": wave(20, 125), "ECG": wave(20, 125, 3), "resp": time}
    write_columns(folder / "mimic_perform_af_001_data.csv", columns)
    (folder / "mimic_perform_af_001_fix.txt").write_text("MIMIC III subject: p087275\n")
    write_columns(folder / "mimic_perform_af_002_data.csv", {"Time": time, "PPG": time})
    found = read("mimic_perform", tmp_path)
    assert [r.person for r in found] == ["p087275", "mimic_perform_af_002"]
    assert found[0].labels == {"rhythm": "AF"}
    assert found[0].ppg_rate_hz == 125.0
    assert found[1].ecg is None


def test_mimic_perform_is_read_from_its_matlab_files(tmp_path: Path) -> None:
    people = [("p000001", "a"), ("p000002", "n")]
    data = np.array(
        [
            (
                {"v": wave(20, 125)[:, None], "fs": 125, "method": "x"},
                {"v": wave(20, 125, 3)[:, None], "fs": 125},
                {"subj_id": person, "group": group, "file": "f"},
            )
            for person, group in people
        ],
        dtype=[("ppg", object), ("ekg", object), ("fix", object)],
    )
    path = tmp_path / "mimic_perform_non_af_data.mat"
    scipy_io.savemat(path, {"data": data})
    found = read("mimic_perform", tmp_path)
    assert [r.person for r in found] == ["p000001", "p000002"]
    assert found[1].record == "mimic_perform_non_af_002"
    assert found[1].labels == {"rhythm": "N"}
    np.testing.assert_allclose(found[0].ecg, wave(20, 125, 3), atol=1e-6)


# --- UCI and PulseDB: MATLAB 7.3 -----------------------------------------------------


def write_part(path: Path, matrices: list[Array]) -> None:
    with h5py.File(path, "w") as file:
        refs = file.create_group("#refs#")
        cells = np.empty((len(matrices), 1), dtype=h5py.ref_dtype)
        for index, matrix in enumerate(matrices):
            # MATLAB writes columns first: what is (3, T) there is (T, 3) here.
            cells[index, 0] = refs.create_dataset(f"c{index}", data=matrix.T).ref
        file.create_dataset(path.stem, data=cells)


def test_uci_cells_are_read_lazily_and_a_part_is_one_person(tmp_path: Path) -> None:
    abp = 100 + 20 * wave(20, 125)
    rows = np.stack([wave(20, 125), abp, wave(20, 125, 3)])
    for part in (1, 3):
        write_part(tmp_path / f"Part_{part}.mat", [rows, rows[:, :1500]])
    found = read("uci_cuffless", tmp_path)
    assert [r.record for r in found] == ["Part_1/0", "Part_1/1", "Part_3/0", "Part_3/1"]
    assert {r.person for r in found} == {"part1/all", "part3/all"}
    assert [r.ppg.size for r in found] == [2500, 1500, 2500, 1500]
    np.testing.assert_allclose(found[0].ecg, wave(20, 125, 3), atol=1e-6)
    assert found[0].labels["sbp"] == pytest.approx(120, abs=0.5)
    assert found[0].labels["dbp"] == pytest.approx(80, abs=0.5)


def write_subject(path: Path, fields: dict[str, list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        refs, group = file.create_group("#refs#"), file.create_group("Subj_Wins")
        for name, values in fields.items():
            cells = np.empty((1, len(values)), dtype=h5py.ref_dtype)
            for index, value in enumerate(values):
                data = (
                    np.array([[ord(c)] for c in value], dtype=np.uint16)
                    if isinstance(value, str)
                    else np.atleast_2d(np.asarray(value, dtype=np.float64))
                )
                cells[0, index] = refs.create_dataset(f"{name}{index}", data=data).ref
            group.create_dataset(name, data=cells)


def pulsedb_fields(count: int) -> dict[str, list[object]]:
    return {
        "SubjectID": ["p000160"] * count,
        "CaseID": ["1"] * count,
        "SegSBP": [120.0 + i for i in range(count)],
        "SegDBP": [70.0] * count,
        "Age": [63.0] * count,
        "Gender": ["M"] * count,
        "IncludeFlag": [1.0] * count,
        "PPG_Raw": [wave(10, 125)] * count,
        "ECG_F": [wave(10, 125, 3)] * count,
    }


def test_pulsedb_segments_of_version_1_stand_alone(tmp_path: Path) -> None:
    fields = pulsedb_fields(3)
    fields["IncludeFlag"][1] = 0.0
    write_subject(tmp_path / "PulseDB_MIMIC" / "p000160.mat", fields)
    write_subject(tmp_path / "PulseDB_Vital" / "p000160.mat", pulsedb_fields(1))
    found = read("pulsedb", tmp_path)
    assert [r.person for r in found] == ["mimic/p000160"] * 2 + ["vital/p000160"]
    assert [r.record for r in found[:2]] == ["mimic/p000160/0", "mimic/p000160/2"]
    assert found[1].labels == {"sbp": 122.0, "dbp": 70.0, "age": 63.0, "sex": "M"}
    assert found[0].ppg.shape == found[0].ecg.shape == (1250,)


def test_pulsedb_segments_of_version_2_are_joined_where_they_follow(tmp_path: Path) -> None:
    fields = pulsedb_fields(4)
    starts = (0.0, 10.0, 30.0, 40.0)  # the one at 20 s was thrown away
    fields["T"] = [start + np.arange(1250) / 125 for start in starts]
    fields["PPG_Record"] = fields["ECG_Record"] = [wave(10, 125) + i for i in range(4)]
    write_subject(tmp_path / "PulseDB_Vital" / "p000001.mat", fields)
    found = read("pulsedb", tmp_path)
    assert [r.ppg.size for r in found] == [2500, 2500]
    assert found[0].labels["sbp"] == 120.5
    assert found[1].ppg.mean() == pytest.approx(2.5, abs=0.01)


# --- MIMIC-III, MIMIC-IV -------------------------------------------------------------


def write_segmented(folder: Path, record: str, segments: list[tuple[str, int]]) -> None:
    total = sum(length for _, length in segments)
    lines = [f"{record}/{len(segments)} 2 125 {total}"]
    lines += [f"{name} {length}" for name, length in segments]
    (folder / f"{record}.hea").write_text("\n".join(lines) + "\n")


def test_mimic_3_records_come_segment_by_segment(tmp_path: Path) -> None:
    folder = tmp_path / "p00" / "p000020"
    pair = {"II": wave(20, 125, 3), "PLETH": wave(20, 125), "RESP": wave(20, 125, 0.2)}
    write_wfdb(folder, "3544749_0001", 125, pair, [])
    write_wfdb(folder, "3544749_0002", 125, {"V": wave(12, 125, 3)}, [])
    write_wfdb(folder, "3544749_0003", 125, {"RESP": wave(12, 125, 0.2)}, [])
    name = "p000020-2183-04-28-17-47"
    (folder / "3544749_layout.hea").write_text(
        "3544749_layout 2 125 0\n~ 0 100 10 0 0 0 0 II\n~ 0 100 10 0 0 0 0 PLETH\n"
    )
    parts = [("3544749_layout", 0), ("3544749_0001", 2500), ("~", 900_000_000)]
    parts += [("3544749_0002", 1500), ("3544749_0003", 1500)]
    write_segmented(folder, name, parts)
    write_wfdb(folder, f"{name}n", 1, {"HR": wave(20, 1, 0.1)}, [])
    paired, alone = read("mimic3_waveforms", tmp_path)
    assert paired.person == alone.person == "p000020"
    assert paired.record == f"{name}/3544749_0001/0"
    np.testing.assert_allclose(paired.ppg, wave(20, 125), atol=1e-3)
    assert alone.ppg is None  # a segment of ECG alone is kept
    np.testing.assert_allclose(alone.ecg, wave(12, 125, 3), atol=1e-3)


def test_mimic_4_signals_keep_their_own_rates(tmp_path: Path) -> None:
    folder = tmp_path / "waves" / "p100" / "p10014354" / "81739927"
    folder.mkdir(parents=True)
    frames, rate_hz = 1250, 62.4725
    heart, pulse = wave(80, rate_hz, 1.0), wave(40, rate_hz, 0.5)
    record = wfdb.Record(
        record_name="81739927_0001",
        n_sig=2,
        fs=rate_hz,
        sig_len=frames,
        samps_per_frame=[4, 2],
        e_d_signal=[
            np.resize(np.rint(1000 * heart), 4 * frames).astype(np.int64),
            np.resize(np.rint(1000 * pulse), 2 * frames).astype(np.int64),
        ],
        fmt=["16", "16"],
        adc_gain=[1000.0, 1000.0],
        baseline=[0, 0],
        units=["mV", "NU"],
        sig_name=["II", "Pleth"],
        file_name=["81739927_0001.dat"] * 2,
        byte_offset=[None, None],
        adc_res=[16, 16],
        adc_zero=[0, 0],
        init_value=[0, 0],
        block_size=[0, 0],
        checksum=[0, 0],
    )
    record.checksum = record.calc_checksum(expanded=True)
    record.init_value = [int(s[0]) for s in record.e_d_signal]
    record.wrsamp(expanded=True, write_dir=str(folder))
    write_segmented(folder, "81739927", [("81739927_0001", frames), ("~", 5000)])
    (only,) = read("mimic4_waveforms", tmp_path)
    assert only.person == "p10014354"
    assert only.ecg_rate_hz == pytest.approx(4 * rate_hz)
    assert only.ppg_rate_hz == pytest.approx(2 * rate_hz)
    assert (only.ecg.size, only.ppg.size) == (4 * frames, 2 * frames)
    np.testing.assert_allclose(only.ppg[: pulse.size], pulse, atol=1e-3)


# --- VitalDB -------------------------------------------------------------------------


def vital_file(path: Path, tracks: dict[str, Array]) -> None:
    file = vitaldb.VitalFile()
    file.dtstart, file.dtend = 1000.0, 1000.0
    for name, samples in tracks.items():
        for second in range(samples.size // 500):
            part = samples[500 * second : 500 * (second + 1)].astype(np.float32)
            known = name in file.trks
            entry = {"dt": 1000.0 + second, "val": part}
            if known:
                file.trks[name].recs.append(entry)
            else:
                file.add_track(name, [entry], srate=500)
        file.dtend = max(file.dtend, 1000.0 + samples.size / 500)
    file.to_vital(str(path))


def test_vitaldb_cases_of_one_person_stay_together(tmp_path: Path) -> None:
    tracks = {
        "SNUADC/PLETH": wave(20, 500),
        "SNUADC/ECG_II": wave(20, 500, 3),
        "SNUADC/ART": 100 + 20 * wave(20, 500),
        "Solar8000/HR": wave(20, 500),
    }
    vital_file(tmp_path / "0001.vital", tracks)
    vital_file(tmp_path / "0002.vital", {"SNUADC/ECG_II": wave(20, 500, 3)})
    with pytest.raises(RecordingError, match="no table of cases"):
        read("vitaldb", tmp_path)
    (tmp_path / "clinical_data.csv").write_text(
        "caseid,subjectid,age,sex\n1,5955,77,M\n2,5955,78,M\n"
    )
    first, second = read("vitaldb", tmp_path)
    assert first.person == second.person == "5955"
    assert first.ppg_rate_hz == 500.0
    np.testing.assert_allclose(first.ppg, wave(20, 500), atol=1e-4)
    np.testing.assert_allclose(first.ecg, wave(20, 500, 3), atol=1e-4)
    assert first.labels["sbp"] == pytest.approx(120, abs=0.5)
    assert second.ppg is None
    assert second.labels == {"age": "78", "sex": "M"}


def test_vitaldb_exports_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "clinical_data.csv").write_text("caseid,subjectid\n7,12\n")
    columns = {"Time": np.arange(4000) / 200, "SNUADC/PLETH": wave(20, 200)}
    write_columns(tmp_path / "7.csv", columns)
    (only,) = read("vitaldb", tmp_path)
    assert (only.person, only.ppg_rate_hz) == ("12", 200.0)
    (tmp_path / "7.csv").unlink()
    np.savez(tmp_path / "7.npz", **{"SNUADC/PLETH": wave(20, 500)})
    (only,) = read("vitaldb", tmp_path)
    np.testing.assert_allclose(only.ppg, wave(20, 500), atol=1e-6)


# --- ECG corpora ---------------------------------------------------------------------


def write_ptbxl(folder: Path) -> None:
    (folder / "scp_statements.csv").write_text(
        ",description,diagnostic,diagnostic_class\nNORM,normal,1.0,NORM\nIMI,inferior,1.0,MI\n"
        "LAFB,block,1.0,CD\nSR,sinus rhythm,,\n"
    )
    (folder / "ptbxl_database.csv").write_text(
        "ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr,filename_hr\n"
        "1,15709.0,56.0,1,\"{'NORM': 100.0, 'SR': 0.0}\",3,records100/00000/00001_lr,"
        "records500/00000/00001_hr\n"
        "10,15709.0,57.0,1,\"{'IMI': 35.0, 'LAFB': 0.0}\",3,records100/00000/00010_lr,"
        "records500/00000/00010_hr\n"
    )
    leads = {name: wave(10, 500, k + 1) for k, name in enumerate(("I", "II", "III"))}
    write_wfdb(folder / "records500" / "00000", "00001_hr", 500, leads, [])
    low = {name: wave(10, 100, k + 1) for k, name in enumerate(("I", "II", "III"))}
    write_wfdb(folder / "records100" / "00000", "00010_lr", 100, low, [])


def test_ptbxl_is_read_with_its_superclasses(tmp_path: Path) -> None:
    write_ptbxl(tmp_path)
    high, low = read("ptbxl", tmp_path)
    assert high.person == low.person == "15709"
    assert (high.ecg_rate_hz, low.ecg_rate_hz) == (500.0, 100.0)
    np.testing.assert_allclose(high.ecg, wave(10, 500, 2), atol=1e-3)
    assert high.labels["superclass"] == "NORM"
    assert low.labels["superclass"] == "CD|MI"
    assert high.labels["sex"] == "F"
    assert high.labels["scp_codes"] == "NORM:100;SR:0"


def test_code15_is_read_without_its_padding(tmp_path: Path) -> None:
    tracings = np.zeros((3, 4096, 12), np.float32)
    tracings[0, 648:3448, 1] = 0.5 + wave(7, 400)
    tracings[1, :, 1] = 0.5 + np.resize(wave(10, 400, 3), 4096)
    with h5py.File(tmp_path / "exams_part0.hdf5", "w") as file:
        file["exam_id"], file["tracings"] = np.array([1169160, 99, 0]), tracings
    (tmp_path / "exams.csv").write_text(
        "exam_id,age,is_male,1dAVb,RBBB,LBBB,SB,ST,AF,patient_id,normal_ecg,trace_file\n"
        "1169160,38,True,False,False,False,False,False,True,523632,False,exams_part0.hdf5\n"
        "99,50,False,False,False,False,False,False,False,523632,True,exams_part0.hdf5\n"
    )
    found = read("code15", tmp_path)
    assert [r.person for r in found] == ["523632", "523632"]
    assert [r.ecg.size for r in found] == [2800, 4096]
    assert found[0].labels["AF"] == 1.0
    assert found[0].labels["sex"] == "M"
    assert found[1].labels["normal_ecg"] == 1.0


def test_cinc2017_is_read_with_the_newest_labels(tmp_path: Path) -> None:
    codes = np.rint(1000 * wave(30, 300)).astype(np.int16)
    scipy_io.savemat(tmp_path / "A00001.mat", {"val": codes[None]}, format="4")
    (tmp_path / "A00001.hea").write_text(
        f"A00001 1 300 {codes.size} 05:05:15 1/05/2000\n"
        "A00001.mat 16+24 1000/mV 16 0 0 0 0 ECG\n"
    )
    (tmp_path / "REFERENCE.csv").write_text("A00001,N\n")
    (tmp_path / "REFERENCE-v3.csv").write_text("A00001,A\n")
    (only,) = read("cinc2017", tmp_path)
    assert (only.person, only.labels) == ("A00001", {"rhythm": "A"})
    np.testing.assert_allclose(only.ecg, wave(30, 300), atol=1e-3)


def write_mit_bih(folder: Path, record: str) -> None:
    leads = {"MLII": wave(30, 360), "V1": wave(30, 360, 3)}
    write_wfdb(folder, record, 360, leads, ["69 M 1085 1629 x1", "Aldomet, Inderal"])
    wfdb.wrann(
        record,
        "atr",
        np.array([18, 77, 370]),
        symbol=["+", "N", "V"],
        aux_note=["(N", "", ""],
        write_dir=str(folder),
    )


def test_mit_bih_comes_with_its_beats_and_201_is_202(tmp_path: Path) -> None:
    for record in ("100", "201", "202"):
        write_mit_bih(tmp_path, record)
    found = read("mit_bih", tmp_path)
    assert [r.person for r in found] == ["100", "201", "201"]
    assert found[0].ecg_rate_hz == 360.0
    assert found[0].labels == {
        "age": "69",
        "sex": "M",
        "beats": "0.214:N 1.028:V",
        "rhythms": "0.050:(N",
    }


# --- PPG corpora ---------------------------------------------------------------------


def write_ppg_bp(folder: Path) -> None:
    (folder / "0_subject").mkdir()
    for name in ("2_1", "2_2", "23_3", "24_1", "24_2"):
        text = "\t".join(str(x) for x in range(2000, 4100)) + "\t"
        (folder / "0_subject" / f"{name}.txt").write_text(text)
    book = openpyxl.Workbook()
    book.active.append(["PPG-BP dataset"])
    header = ["Num.", "subject_ID", "Sex(M/F)", "Age(year)"]
    book.active.append(
        [*header, "Systolic Blood Pressure(mmHg)", "Hypertension", "Diabetes"]
    )
    book.active.append([1, 2, "Female", 45, 161, "Stage 2 hypertension", None])
    book.active.append([2, 24, "Male", 50, 120, "Prehypertension", "Diabetes"])
    book.save(folder / "PPG-BP dataset.xlsx")


def test_ppg_bp_is_read_without_the_doubled_segments(tmp_path: Path) -> None:
    write_ppg_bp(tmp_path)
    found = read("ppg_bp", tmp_path)
    found.sort(key=lambda recording: int(recording.person))
    assert [r.record for r in found] == ["2_1", "2_2", "24_2"]
    assert [r.person for r in found] == ["2", "2", "24"]
    assert found[0].ppg_rate_hz == 1000.0
    np.testing.assert_array_equal(found[0].ppg, np.arange(2000, 4100))
    assert found[0].labels == {
        "sex": "Female",
        "age": "45",
        "sbp": "161",
        "hypertension": "Stage 2 hypertension",
        "diabetes": "",
    }


def test_stress_predict_is_read_from_the_empatica_files(tmp_path: Path) -> None:
    folder = tmp_path / "Raw_data" / "S07"
    folder.mkdir(parents=True)
    samples = "\r\n".join(f"{x:.2f}" for x in wave(20, 64))
    (folder / "BVP.csv").write_text(f"1644226832.000000\r\n64.000000\r\n{samples}\r\n")
    (only,) = read("stress_predict", tmp_path)
    assert (only.person, only.ppg_rate_hz) == ("S07", 64.0)
    np.testing.assert_allclose(only.ppg, wave(20, 64), atol=0.006)
    assert only.labels == {"start_unix_s": 1644226832.0}


def write_pickle(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(data, protocol=2))


def wearable(label: Array, **more: object) -> dict[str, object]:
    return {
        "subject": "S2",
        "signal": {
            "chest": {"ECG": wave(20, 700, 3)[:, None], "ACC": np.zeros((14000, 3))},
            "wrist": {"BVP": wave(20, 64)[:, None]},
        },
        "label": label,
        **more,
    }


def test_wesad_is_read_through_a_pickle_that_runs_nothing(tmp_path: Path) -> None:
    label = np.repeat([0, 1, 2], [7000, 3500, 3500])
    write_pickle(tmp_path / "S2" / "S2.pkl", wearable(label, raw=b"\xff\x00"))
    (only,) = read("wesad", tmp_path)
    assert (only.person, only.ppg_rate_hz, only.ecg_rate_hz) == ("S2", 64.0, 700.0)
    np.testing.assert_allclose(only.ecg, wave(20, 700, 3), atol=1e-6)
    assert only.labels == {"conditions": "0.0:0 10.0:1 15.0:2"}


def test_ppg_dalia_is_read_with_its_heart_rates(tmp_path: Path) -> None:
    asked = {"AGE": 34, "Gender": " m", "WEIGHT": np.float64(78.0)}
    activity = np.repeat([0.0, 1.0], 40)[:, None]
    data = wearable(np.array([71.5, 72.25]), activity=activity, questionnaire=asked)
    write_pickle(tmp_path / "S1" / "S1.pkl", data)
    (only,) = read("ppg_dalia", tmp_path)
    assert only.labels == {
        "heart_rates_bpm": "71.5 72.2",
        "activities": "0.0:0 10.0:1",
        "age": "34",
        "sex": "M",
    }


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_are_read_at_every_protocol(tmp_path: Path, protocol: int) -> None:
    data = {"x": np.arange(6.0).reshape(2, 3), "n": np.float32(2.5), "b": b"\xff", "s": "é"}
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    found = load_arrays(path)
    np.testing.assert_array_equal(found.pop("x"), data.pop("x"))
    assert found == data


class Attack:
    """What a foreign pickle could do."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self._call = call, arguments

    def __reduce__(self) -> object:
        return self._call


def test_a_pickle_that_would_run_code_is_refused_before_it_can(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    write_pickle(tmp_path / "S3" / "S3.pkl", {"signal": Attack(Path.touch, trace)})
    with pytest.raises(RecordingError, match="it asks for "):
        read("wesad", tmp_path)
    assert not trace.exists()
    other = tmp_path / "other"
    write_pickle(other / "S4" / "S4.pkl", {"x": Attack(codecs.encode, "x", "rot13")})
    with pytest.raises(RecordingError, match="codec rot13"):
        read("wesad", other)


def test_welltory_frames_are_laid_on_an_even_grid(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    times_ms = np.cumsum(rng.uniform(20, 46, 900))
    green = np.sin(2 * np.pi * 1.2 * times_ms / 1000)
    columns = {"time": times_ms, "R": green, "G": green, "B": green}
    write_columns(tmp_path / "data" / "subject_01" / "PPG.csv", columns)
    (tmp_path / "data" / "subject_01" / "RR.txt").write_text("1203 1124 974")
    (only,) = read("welltory", tmp_path)
    assert (only.person, only.record) == ("unknown", "subject_01")
    assert only.ppg_rate_hz == pytest.approx(30.3, abs=1.0)
    grid_s = times_ms[0] / 1000 + np.arange(only.ppg.size) / only.ppg_rate_hz
    # What fell when the vessel filled stands upright.
    assert np.abs(only.ppg + np.sin(2 * np.pi * 1.2 * grid_s)).max() < 0.1
    assert only.labels == {"rr_ms": "1203 1124 974"}


# --- what holds for all --------------------------------------------------------------

TORN = b"\x00torn\xff" * 20


def tear(path: Path) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(TORN)

    return do


def torn_part(folder: Path) -> None:
    write_part(folder / "Part_1.mat", [np.zeros((4, 7))])


def torn_cinc(folder: Path) -> None:
    (folder / "REFERENCE.csv").write_text("A00001,N\n")
    (folder / "A00001.hea").write_bytes(TORN)


def torn_code15(folder: Path) -> None:
    (folder / "exams.csv").write_text("exam_id,patient_id\n")
    (folder / "exams_part0.hdf5").write_bytes(TORN)


def torn_ptbxl(folder: Path) -> None:
    write_ptbxl(folder)
    (folder / "records500" / "00000" / "00001_hr.hea").write_bytes(TORN)


def foreign_ptbxl(folder: Path) -> None:
    write_ptbxl(folder)
    table = folder / "ptbxl_database.csv"
    table.write_text(table.read_text().replace("{'NORM'", "open({'NORM'"))


def torn_mit_bih(folder: Path) -> None:
    write_mit_bih(folder, "100")
    (folder / "100.atr").unlink()


def short_mit_bih(folder: Path) -> None:
    write_mit_bih(folder, "100")
    signal = folder / "100.dat"
    signal.write_bytes(signal.read_bytes()[:1000])


def torn_ppg_bp(folder: Path) -> None:
    write_ppg_bp(folder)
    (folder / "PPG-BP dataset.xlsx").write_bytes(TORN)


def short_ppg_bp(folder: Path) -> None:
    write_ppg_bp(folder)
    (folder / "0_subject" / "2_1.txt").write_text("1\t2\t3\t")


def nameless_bidmc(folder: Path) -> None:
    write_bidmc_csv(folder)
    (folder / "bidmc_csv" / "bidmc_02_Fix.txt").write_text("Age: 88\n")


def torn_vital(folder: Path) -> None:
    (folder / "clinical_data.csv").write_text("caseid,subjectid\n1,1\n")
    (folder / "1.vital").write_bytes(TORN)


def foreign_welltory(folder: Path) -> None:
    write_columns(folder / "subject_01" / "PPG.csv", {"red": wave(1, 30)})


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("bidmc", tear(Path("bidmc_01_Signals.csv")), "not a readable CSV"),
        ("bidmc", nameless_bidmc, "names no MIMIC-II person"),
        ("bidmc", tear(Path("bidmc01.hea")), "not a readable WFDB header"),
        ("mimic_perform", tear(Path("mimic_perform_af_data.mat")), "not the MATLAB file"),
        ("uci_cuffless", tear(Path("Part_1.mat")), "not the HDF5 file"),
        ("uci_cuffless", torn_part, "not PPG, ABP and ECG rows"),
        ("pulsedb", tear(Path("PulseDB_MIMIC/p000160.mat")), "not the HDF5 file"),
        (
            "mimic3_waveforms",
            tear(Path("p00/p000020/p000020-2183-04-28-17-47.hea")),
            "not a readable WFDB header",
        ),
        ("mimic4_waveforms", tear(Path("81739927.hea")), "no record like waves"),
        ("vitaldb", torn_vital, r"not a readable \.vital|none of the tracks"),
        ("ptbxl", torn_ptbxl, "not a readable WFDB"),
        ("ptbxl", foreign_ptbxl, "does not hold the corpus ptbxl"),
        ("code15", torn_code15, "not the HDF5 file"),
        ("cinc2017", torn_cinc, "not a readable WFDB"),
        ("mit_bih", torn_mit_bih, "not readable as annotations"),
        ("mit_bih", short_mit_bih, "not a readable WFDB"),
        ("ppg_bp", torn_ppg_bp, "not a readable .xlsx"),
        ("ppg_bp", short_ppg_bp, "3 of 2100 samples"),
        ("stress_predict", tear(Path("S01/BVP.csv")), "not a file of numbers"),
        ("wesad", tear(Path("S2/S2.pkl")), "not a pickle of arrays"),
        ("ppg_dalia", tear(Path("S2/S2.pkl")), "not a pickle of arrays"),
        ("welltory", foreign_welltory, "has no column time"),
    ],
)
def test_a_damaged_or_foreign_file_gives_one_sentence(
    tmp_path: Path, name: str, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(tmp_path)
    with pytest.raises(RecordingError, match=message) as caught:
        read(name, tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_an_empty_folder_is_told_as_such(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordingError, match=r"^no .* in "):
        CORPORA[name].sources(tmp_path)


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_every_corpus_says_what_it_is_and_why_it_may_not_train(name: str) -> None:
    corpus = CORPORA[name]
    assert corpus.name == name
    assert set(corpus.modalities) <= {"ppg", "ecg"}
    assert corpus.modalities
    assert corpus.licence
    assert corpus.citation
    assert corpus.url.startswith("https://")
    assert corpus.may_train == (not corpus.reason)


def test_restricted_corpora_do_not_train() -> None:
    restricted = {"pulsedb", "mimic3_waveforms", "mimic4_waveforms", "vitaldb", "wesad"}
    restricted |= {"ppg_dalia", "mimic_perform", "ppg_arrhythmia_valid"}
    assert {c.name for c in CORPORA.values() if not c.may_train} == restricted


def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mit_bih(tmp_path, "100")
    monkeypatch.setitem(__import__("sys").modules, "wfdb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'plethprint\[corpora\]'"):
        read("mit_bih", tmp_path)


def test_some_sources_can_be_read_without_the_others(tmp_path: Path) -> None:
    write_bidmc_csv(tmp_path)
    (tmp_path / "bidmc_csv" / "bidmc_01_Signals.csv").write_bytes(TORN)
    corpus = CORPORA["bidmc"]
    names = corpus.sources(tmp_path)
    assert [r.record for r in corpus.read(tmp_path, names[1:])] == ["bidmc02", "bidmc03"]


def test_a_long_recording_comes_in_stretches() -> None:
    ppg = np.zeros(int(2.5 * STRETCH_S * 4), np.float32)
    ppg[int(STRETCH_S * 4) : int(2 * STRETCH_S * 4)] = np.nan
    ecg = np.ones(int(2.5 * STRETCH_S * 8), np.float32)
    whole = CorpusRecording("x", "p", "r", ppg, 4.0, ecg, 8.0)
    first, second, third = stretches(whole)
    assert (first.ppg.size, first.ecg.size) == (7200, 14400)
    assert second.ppg is None
    assert (third.record, third.ppg.size, third.ecg.size) == ("r/2", 3600, 7200)
    short = dataclasses.replace(whole, ppg=ppg[:40], ecg=None)
    assert next(iter(stretches(short))).record == "r"


def test_the_table_of_the_documentation_is_that_of_the_readers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "corpora.md").read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    told = {cells[0].strip("| `"): cells for cells in lines}
    assert set(told) == set(CORPORA)
    for name, corpus in CORPORA.items():
        _, _, signals, licence, may_train, citation = told[name]
        assert signals == ", ".join(
            f"{kind.upper()} {rate:g}" for kind, rate in corpus.rates_hz.items()
        )
        assert licence == corpus.licence
        assert may_train == ("yes" if corpus.may_train else f"no: {corpus.reason}")
        assert corpus.citation in citation
        assert corpus.url in citation
