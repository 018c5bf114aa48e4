"""Sixty mistakes that people make: each ends with code 2 and one line that names what is wrong and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from importers.tflite_quantized import quantized_file

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL, DATA = EXAMPLES / "digits.h5", EXAMPLES / "digits.npz"
BUILD = f"build {MODEL} --board host --out OUT --no-compile"

#: What is typed (the folder TMP has the files that ``places`` makes), and what the line has to say.
MISTAKES = [
    # names of commands and options
    ("biuld m.h5", "Did you mean build?"),
    ("verfy x", "Did you mean verify?"),
    ("proflie x", "Did you mean profile?"),
    ("evalute x", "Did you mean evaluate?"),
    ("deploy x", "Known: analyze, boards, build"),
    (f"build {MODEL} --bord nucleo", "'--board'"),
    (f"{BUILD} --calibration d.npz", "No such option '--calibration'"),
    (f"{BUILD} --schema kl", "'--scheme'"),
    (f"{BUILD} --weight-bit 4", "'--weight-bits'"),
    (f"{BUILD} --keep-quantisation", "'--keep-quantization'"),
    (f"{BUILD} --budgets ram=1k", "'--budget'"),
    (f"{BUILD} --stream", "'--streaming'"),
    (f"{BUILD} extra", "unexpected extra argument"),
    # values of options
    (f"build {MODEL} --board stm32f4 --out OUT", "boards with 'stm32f4': blackpill_f411ce"),
    (f"build {MODEL} --board nucelo --out OUT", "did you mean 'nucleo'"),
    (f"build {MODEL} --board nucleo-f446re --out OUT", "nucleo_f446re"),
    (f"build {MODEL} --board F446RE --out OUT", "nucleo_f446re"),
    (f"build {MODEL} --board esp32 --out OUT --frontend x", "front end"),
    (f"build {MODEL} --board xyzzy --out OUT", "ggdq-mcu boards lists the known ones"),
    (f"build {MODEL} --board TMP/none.json --out OUT", "none.json"),
    (f"{BUILD} --scheme ggd-tund", "did you mean ggd-tuned?"),
    (f"{BUILD} --scheme median", "choose one of minmax, pow2"),
    (f"{BUILD} --goal sped", "'speed', 'balanced', 'size'"),
    (f"{BUILD} --bits 1", "--bits"),
    (f"{BUILD} --bits eight", "not a valid integer"),
    (f"{BUILD} --weight-bits 32", "--weight-bits"),
    (f"{BUILD} --without headrom", "'headroom'"),
    (f"{BUILD} --ram 20X", "write it as 20000, 20k, 20KB or 1m"),
    (f"{BUILD} --flash 0", "not a number of bytes"),
    (f"{BUILD} --ram 20k --budget ram=10k", "given twice"),
    (f"{BUILD} --budget sram=10k", "sram"),
    (f"{BUILD} --budget sqnr=high", "sqnr"),
    (f"{BUILD} --input-format u8", "T:SCALE:ZERO"),
    (f"{BUILD} --input-format u8:0:0", "SCALE is not positive"),
    (f"{BUILD} --input-format mic=u8:1:0", "inputs: image"),
    (f"{BUILD} --input-shape 1,9,9,1", "digits.h5"),
    (f"{BUILD} --hop 2", "--streaming"),
    (f"{BUILD} --calib-count 0", "--calib-count"),
    (f"{BUILD} --app arduino", "'serial', 'mlperf-tiny'"),
    (f"{BUILD} --save-config TMP/none/ggdq.toml", "cannot be written"),
    (f"{BUILD} --keep-quantization", "no TFLite file"),
    # files
    ("build TMP/absent.h5 --board host --out OUT", "no such file"),
    ("build TMP --board host --out OUT", "SavedModel"),
    ("build TMP/empty.h5 --board host --out OUT", "empty.h5"),
    ("build TMP/text.txt --board host --out OUT", "not a model"),
    (f"build {DATA} --board host --out OUT", "digits.npz"),
    ("build TMP/weights.pt --board host --out OUT", "weights.pt"),
    (f"{BUILD} --calib TMP/absent.npz", "no such file"),
    (f"{BUILD} --calib TMP/text.txt", "numpy.savez"),
    (f"{BUILD} --calib TMP/shape.npz", "the network takes (8, 8, 1)"),
    (f"{BUILD} --calib TMP/names.npz", "no array 'x' in it (found: images)"),
    (f"{BUILD} --calib TMP/nan.npz", "NaN"),
    (f"{BUILD} --calib TMP/labels.npz", "3 samples but 4 labels"),
    (f"{BUILD} --calib TMP/*.nothing", "nothing"),
    ("build TMP/int8.tflite --board host --out OUT --no-compile --bits 6", "--keep-quantization"),
    (f"build {MODEL} --board host --out TMP/full --no-compile", "choose another --out"),
    # folders of projects
    ("verify TMP/none", "make one with ggdq-mcu build"),
    (f"verify {MODEL}", "make one with ggdq-mcu build"),
    (f"evaluate TMP/full --data {DATA}", "make one with ggdq-mcu build"),
    ("evaluate TMP/full", "Missing option '--data'"),
    (f"check TMP/full --data {DATA}", "Missing option '--against'"),
    ("profile TMP/full", "make one with ggdq-mcu build"),
    ("flash TMP/full", "make one with ggdq-mcu build"),
    ("build", "Missing argument 'MODEL'"),
    (f"build {MODEL}", "ggdq-mcu boards lists them"),
    (f"analyze {MODEL} --calib {DATA} --bits 4;8", "write --bits 4,6,8"),
    (f"init-ci {MODEL} --board host", "Missing option '--data'"),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    x = np.zeros((3, 8, 8, 1), np.float32)
    (folder / "empty.h5").touch()
    (folder / "text.txt").write_text("accuracy: 97 %\n")
    (folder / "weights.pt").write_bytes(b"PK\x03\x04" + bytes(60))
    (folder / "full").mkdir()
    (folder / "full/thesis.tex").write_text("years of work")
    np.savez(folder / "shape.npz", x=np.zeros((3, 28, 28, 1), np.float32))
    np.savez(folder / "names.npz", images=x)
    np.savez(folder / "nan.npz", x=x * np.nan)
    np.savez(folder / "labels.npz", x=x, y=np.zeros(4, np.int64))
    quantized_file(folder / "int8.tflite")
    return folder


@pytest.mark.parametrize(("line", "told"), MISTAKES, ids=[line[:60].replace(str(EXAMPLES), "") for line, _ in MISTAKES])
def test_a_mistake_is_one_line_with_the_way_out(
    cli: Any, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word.replace("TMP", str(places)).replace("OUT", str(tmp_path / "out")) for word in line.split()]
    outcome = cli(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("ggdq-mcu: error: ")
    assert outcome.err.count("\n") == 1
    assert told in outcome.err
    assert not (tmp_path / "out").exists()


def test_there_are_sixty() -> None:
    assert len({line for line, _ in MISTAKES}) == len(MISTAKES) >= 60
