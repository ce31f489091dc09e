"""The lies that a bundle can tell, each with words of the line that refuses it."""

import io
import os
import pickle
import random
import stat
import struct
import zipfile
from typing import Any

import numpy as np
from forging import (
    Forge,
    added,
    drop,
    event_line,
    events,
    finished,
    first_round,
    header,
    in_directory,
    in_end,
    magnitudes,
    manifest,
    members_told,
    nth,
    put,
    renamed_round,
    resaved,
    result,
    round_bytes,
    similar,
    sizes,
    spoilt,
    started,
    study_text,
    swapped,
    text_of,
    told,
    zeroed,
)

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred"
SOUND_STUDY = 'name = "sample"\n[[arm]]\nname = "ticket"\n'
OTHER_KEY = "0123456789" * 4
EMPTY_SIMILARITY = {"alive": None, "all": None, "jaccard": 0, "chance": 0}


NOTES = [
    {"time": 1.0, "event": {"event": "note", "text": random.Random(number).randbytes(4500).hex()}}
    for number in range(300)
]


class Bomb:
    """Whoever unpickles it runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch owned",)


PICKLE = pickle.dumps(Bomb())
NESTED = io.BytesIO()
with zipfile.ZipFile(NESTED, "w") as inner:
    inner.writestr("inner", b"x")

TRAVERSALS = [
    "../evil",
    "..",
    "rounds/../../evil",
    "rounds/../study.toml",
    "./study.toml",
    "rounds//" + "a" * 40 + ".safetensors",
    "/etc/evil",
    "//server/share",
    "\\evil",
    "..\\evil",
    "C:\\evil",
    "C:evil",
    "C:/evil",
    "rounds/" + "a" * 39 + "/.safetensors",
    "rounds/" + "A" * 40 + ".safetensors",
    "rounds/" + "a" * 41 + ".safetensors",
    "rounds/" + "a" * 40 + ".safetensors/",
    "rounds/" + "a" * 40 + ".safetensors\n",
    "rounds/" + "a" * 40 + ".safetensors ",
    "rounds/",
    "STUDY.TOML",
    "study.toml\x00.png",
    "study.toml:stream",
    "CON",
    "~/evil",
    "%2e%2e/evil",
    "．．/evil",
    "．．／evil",
    "\u202egnp.exe",
    ESCAPE,
    "[bold]x[/bold]",
    "x" * 60_000,
    "run.db",
    "rounds.zip",
    "",
]
RUN_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "-rf",
    ".hidden",
    "a b",
    "a\n",
    "a\0b",
    "x" * 101,
    "é",
    ESCAPE,
    "[red]a[/red]",
    "\u202ea",
    "a:b",
    7,
    None,
    ["a"],
]

BUNDLES: dict[str, tuple[Forge, str]] = {
    # Names
    **{f"entry {name[:40]!r}": (added(name), "") for name in TRAVERSALS},
    **{f"run {name!r:.40}": (manifest(run=name), "manifest.json: run: ") for name in RUN_NAMES},
    "a link": (added("rounds/" + "a" * 40 + ".safetensors", b"/etc/passwd", mode=stat.S_IFLNK | 0o777), "plain file"),
    "a folder's mode": (added("rounds/" + "a" * 40 + ".safetensors", mode=stat.S_IFDIR | 0o700), "plain file"),
    "a device": (added("rounds/" + "a" * 40 + ".safetensors", mode=stat.S_IFCHR | 0o600), "plain file"),
    "setuid": (added("rounds/" + "a" * 40 + ".safetensors", mode=stat.S_IFREG | 0o4755), "plain file"),
    "an archive in it": (added("inner.zip", NESTED.getvalue()), "an entry"),
    "a member that is an archive": (lambda f: put(first_round(f), NESTED.getvalue())(f), "not a round of that key"),
    "a member twice": (added("study.toml", SOUND_STUDY.encode()), "twice"),
    "a round twice": (lambda f: added(first_round(f), b"x")(f), "twice"),
    "a member more": (added("rounds/" + "a" * 40 + ".safetensors"), "not both in it and in the file"),
    "no manifest": (spoilt(lambda data: data.replace(b"manifest.json", b"manifest.jsoN")), "an entry"),
    "no study": (drop("study.toml"), "no entry study.toml"),
    "no events": (drop("events.jsonl"), "no entry events.jsonl"),
    "curves of their own": (added("curves.jsonl"), "an entry"),
    "a round that the manifest has and the file has not": (
        lambda f: manifest(
            members={**members_told(f), f"rounds/{OTHER_KEY}.safetensors": {"size": 1, "sha256": "a" * 64}}
        )(f),
        "not both in it and in the file",
    ),
    "entries that the manifest has not": (
        lambda f: [added(f"rounds/{n:040x}.safetensors")(f) for n in range(2000)],
        "manifest",
    ),
    # Sizes
    "a bomb by ratio": (added("rounds/" + "a" * 40 + ".safetensors", bytes(30_000_000)), "unpacked"),
    "a bomb in the study": (put("study.toml", b"#" * 20_000_000), "more than the 100000"),
    "a bomb in the manifest": (text_of(b" " * 17_000_000), "more than the 16000000"),
    "a size of 4 GB": (in_directory("study.toml", 24, b"\xfe\xff\xff\xff"), "study.toml"),
    "a round of 4 GB": (
        lambda f: in_directory(first_round(f), 24, b"\xfe\xff\xff\xff")(f),
        "unpacked",
    ),
    "a packed size of 4 GB": (lambda f: in_directory(first_round(f), 20, b"\xfe\xff\xff\xff")(f), "in a file of"),
    "a smaller size than it has": (in_directory("events.jsonl", 24, b"\x10\0\0\0"), "events.jsonl"),
    "a directory of 4 GB": (in_end(12, b"\xfe\xff\xff\xff"), "a directory of 4294967294 bytes"),
    "a directory elsewhere": (in_end(16, b"\xf0\xff\xff\x7f"), "not a whole zip file"),
    "a directory of no bytes": (in_end(12, b"\0\0\0\0"), ""),
    "a comment": (spoilt(lambda data: data[:-2] + b"\x03\0abc"), ""),
    "a size that the manifest denies": (told("study.toml", size=3), "3 in the manifest"),
    "a size below 0": (told("study.toml", size=-1), "greater than or equal to 0"),
    "a size that is no number": (told("study.toml", size="1"), "manifest.json"),
    "a size that is NaN": (told("study.toml", size=float("nan")), "manifest.json"),
    "a size of many digits": (told("study.toml", size=10**4000), "manifest.json"),
    # Bytes
    "another hash": (told("study.toml", sha256="0" * 64), "its bytes are not those of the manifest"),
    "another hash of the events": (told("events.jsonl", sha256="0" * 64), "its bytes are not those of the manifest"),
    "another hash of a round": (lambda f: told(first_round(f), sha256="0" * 64)(f), "its bytes are not those"),
    "a hash that is none": (told("study.toml", sha256="x"), "manifest.json"),
    "encrypted": (in_directory("study.toml", 8, b"\x01\0"), "encrypted"),
    "strongly encrypted": (in_directory("study.toml", 8, b"\x41\0"), "encrypted"),
    "bzip2": (lambda f: setattr(f, "packed", zipfile.ZIP_BZIP2), "packed in a way of its own"),
    "lzma": (lambda f: setattr(f, "packed", zipfile.ZIP_LZMA), "packed in a way of its own"),
    "a method that there is not": (in_directory("study.toml", 10, b"\x63\0"), "packed in a way of its own"),
    "another version to extract": (in_directory("study.toml", 6, b"\xff\0"), ""),
    "an entry over another": (in_directory("study.toml", 42, b"\x01\0\0\0"), ""),
    "a broken checksum": (in_directory("study.toml", 16, b"\1\2\3\4"), "not a whole zip file"),
    "empty": (spoilt(lambda data: b""), "empty"),
    "one byte": (spoilt(lambda data: b"P"), "not a zip file"),
    "text": (spoilt(lambda data: b"name = 'x'\n" * 100), "not a zip file"),
    "gzip": (spoilt(lambda data: b"\x1f\x8b" + data), "not a zip file"),
    "tar": (spoilt(lambda data: bytes(257) + b"ustar" + data), "not a zip file"),
    "a program before the zip": (spoilt(lambda data: b"#!/bin/sh\necho\n" + data), "not a zip file"),
    "something after the zip": (spoilt(lambda data: data + b"more"), "cut short"),
    "an end alone": (spoilt(lambda data: b"PK\x05\x06" + bytes(18)), "not a zip file"),
    "only a beginning and an end": (spoilt(lambda data: b"PK\x03\x04PK\x05\x06" + bytes(18)), ""),
    "SQLite": (spoilt(lambda data: b"SQLite format 3\0" + bytes(4000)), "not a zip file"),
    **{
        f"cut to {part}%": (spoilt(lambda data, part=part: data[: len(data) * part // 100]), "")
        for part in range(1, 100, 9)
    },
    **{f"cut by {by}": (spoilt(lambda data, by=by: data[:-by]), "cut short") for by in (1, 2, 4, 10, 21, 22, 23, 60)},
    **{f"zeros at {part}%": (zeroed(part), "") for part in range(0, 100, 11)},
    # The manifest
    "not JSON": (text_of(b"format = 1"), "manifest.json: "),
    "no manifest text": (text_of(b""), "manifest.json: "),
    "not UTF-8": (text_of(b'{"format": 1, "run": "\xff\xfe"}'), "manifest.json: "),
    "JSON of another kind": (text_of(b"[1, 2]"), "manifest.json: "),
    "nested too deeply": (text_of(b"[" * 500_000), "manifest.json: "),
    "nested tables": (text_of(b'{"format":' * 100_000), "manifest.json: "),
    "a format to come": (manifest(format=2, more="news"), "format 2, this version of lth-tui reads format 1"),
    "no format": (text_of(b"{}"), "manifest.json: format: "),
    "a format of text": (manifest(format="one"), "manifest.json: format: "),
    "a field more": (manifest(pickle="x"), "manifest.json: pickle: "),
    "members that are a list": (manifest(members=[]), "manifest.json: members: "),
    "no members": (manifest(members={}), "not both in it and in the file"),
    "made at no time": (manifest(created=float("nan")), "manifest.json: created: "),
    "made after all time": (manifest(created=1e300), "manifest.json: created: "),
    "made before all time": (manifest(created=-1), "manifest.json: created: "),
    "a title without end": (manifest(title="x" * 101), "manifest.json: title: "),
    "a note without end": (manifest(note="x" * 2001), "manifest.json: note: "),
    "a note that is a list": (manifest(note=["x"]), "manifest.json: note: "),
    "a hash of another study": (manifest(study="0" * 40), "not the study of the manifest"),
    "a hash of no study": (manifest(study="../../x"), "manifest.json: study: "),
    # The study
    "an invalid study": (study_text("name = "), "study.toml: not TOML"),
    "an empty study": (study_text(""), "study.toml: "),
    "another study": (study_text(SOUND_STUDY), "not the study of the manifest"),
    "a study with escapes": (study_text(SOUND_STUDY.replace('"\n', '"\nabout = "\\u001b[2J"\n', 1)), "about: "),
    "a study that is not UTF-8": (study_text("name = '\udcff'"), "not UTF-8 at byte 8"),
    "a study with NUL": (study_text("name = '\0'"), "study.toml: not TOML"),
    "a study nested too deeply": (study_text("name = " + "[" * 40_000), "nested too deeply"),
    "a study of dotted keys": (study_text(".".join("a" * 40_000) + " = 1"), "dots; allowed"),
    # Events
    "an event that is not JSON": (event_line(b"{\n"), "line 27: "),
    "an event without an end": (event_line(b'{"time": 1'), "its last line does not end"),
    "an empty event": (event_line(b"\n"), "line 27: "),
    "an event of no kind": (event_line(b'{"time":1,"event":{"event":"exec","code":"1"}}\n'), "line 27: "),
    "an event of a field more": (event_line(b'{"time":1,"event":{"event":"paused","x":1}}\n'), "line 27: "),
    "an event at no time": (event_line(b'{"time":NaN,"event":{"event":"paused"}}\n'), "line 27: time: "),
    "an event after all time": (event_line(b'{"time":1e300,"event":{"event":"paused"}}\n'), "line 27: time: "),
    "an event nested too deeply": (event_line(b'{"event":' + b"[" * 100_000 + b"\n"), "line 27: "),
    "an event with NUL": (event_line(b'\0{"time":1,"event":{"event":"paused"}}\n'), "line 27: "),
    "an event that is not UTF-8": (event_line(b'{"time":1,"event":{"event":"note","text":"\xff"}}\n'), "line 27: "),
    "an event with half a character": (
        event_line(b'{"time":1,"event":{"event":"note","text":"\\ud800"}}\n'),
        "line 27: ",
    ),
    "an event of many megabytes": (
        event_line(random.Random(0).randbytes(6_000_000).replace(b"\n", b"")),
        "line 27 has more than 4000000",
    ),
    "an endless text": (events(lambda lines: nth("note", lines).update(text="x" * 10_001)), "a text of 10001"),
    "a number of many digits": (finished(trial=10**400), "line "),
    "a number past any": (result(iterations=2**60), "too many digits"),
    "an infinite loss": (result(validation_loss=1e999), "a number inf"),
    "megabytes of events": (
        events(lambda lines: lines.extend(NOTES)),
        "more bytes of events than a run of this study can have",
    ),
    "megabytes of one round": (
        result(early_bird={"iterations": list(range(280_000)), "distances": [0.5] * 279_999, "found": None}),
        "more bytes of events than a run of this study can have",
    ),
    "a round that is reported twice": (
        events(lambda lines: lines.insert(-1, next(it for it in lines if it["event"]["event"] == "round-finished"))),
        "a round that is reported twice",
    ),
    "another accuracy than the round has": (result(test_accuracy=0.999), "other numbers than the events have"),
    "another loss than the round has": (result(validation_loss=0.001), "other numbers than the events have"),
    "another early stop than the round has": (result(early_stop_iteration=1), "other numbers than the events have"),
    "two accuracies of one round": (
        events(lambda lines: nth("round-finished", lines, 6)["result"].update(test_accuracy=0.999)),
        "other numbers of round ",
    ),
    "an accuracy of 2": (result(test_accuracy=2.0), "test_accuracy 2.0"),
    "an accuracy below 0": (result(test_accuracy_end=-0.5), "test_accuracy_end -0.5"),
    "a time below 0": (result(seconds=-1.0), "a time below 0"),
    "an iteration below 0": (result(early_stop_iteration=-5), "an iteration below 0"),
    "no layers": (result(layers={}), "other layers"),
    "other layers": (result(layers={"dense1": {"survivors": 1, "size": 24}}), "other layers"),
    "another size": (result(layers=sizes(24, 13)), "other layers"),
    "more weights than there are": (result(layers=sizes(24, 12, survivors=25)), "more weights than there are"),
    "no weight left": (result(layers=sizes(24, 12, survivors=0)), "no weight left"),
    "a histogram of nothing": (result(magnitudes={"dense1": magnitudes(start=[])}), "without bins"),
    "a histogram of a layer that there is not": (result(magnitudes={"x": magnitudes()}), "a layer 'x'"),
    "a distance of 5": (result(magnitudes={"dense1": magnitudes(end_distance=5.0)}), "distances"),
    "an early bird of no epoch": (
        result(early_bird={"iterations": [5], "distances": [], "found": 9}),
        "an early bird in epoch 9 of 1",
    ),
    "distances of no masks": (result(early_bird={"iterations": [], "distances": [1.0], "found": None}), "1 distances"),
    "a similarity of 3": (similar(jaccard=3.0), "a similarity above 1"),
    "a similarity of a layer that there is not": (finished(similarity={"x": EMPTY_SIMILARITY}), "a layer 'x'"),
    "a round of an arm that there is not": (finished(arm=ESCAPE), "arm "),
    "a round of a trial that there is not": (finished(trial=999), "trial 999"),
    "a round of a trial below 0": (finished(trial=-1), "trial -1"),
    "a round that is not planned": (finished(round=50), "round 50"),
    "a round of no key": (finished(key="../../../../etc/passwd"), "a key '../../../../etc/passwd'"),
    "a round before the start": (events(lambda lines: lines.pop(0)), "line 1: a round before the run started"),
    "no arms": (started(arms=[]), "arms that the study does not have"),
    "other arms": (
        events(lambda lines: nth("run-started", lines)["arms"][0].update(name=ESCAPE)),
        "arms that the study does not have",
    ),
    "more seeds": (
        events(lambda lines: nth("run-started", lines)["arms"][0].update(seeds=list(range(1000)))),
        "1000 seeds of 'ticket'",
    ),
    "rounds without end": (
        events(lambda lines: nth("run-started", lines)["arms"][0].update(rounds=list(range(5000)))),
        "the rounds of 'ticket'",
    ),
    "rounds in no order": (
        events(lambda lines: nth("run-started", lines)["arms"][0].update(rounds=[0, 2, 1])),
        "the rounds of 'ticket'",
    ),
    "a layer called an escape": (started(layers={ESCAPE: 5}), "5 weights of a layer"),
    "a layer called a path": (started(layers={"../x": 5}), "5 weights of a layer '../x'"),
    "a layer of no weights": (started(layers={"dense1": 0}), "0 weights of a layer"),
    "a layer of weights below 0": (started(layers={"dense1": -4}), "-4 weights of a layer"),
    "a second start with other layers": (
        events(lambda lines: lines.append({**lines[0], "event": {**lines[0]["event"], "layers": {"x": 1}}})),
        "a second start",
    ),
    # Rounds
    "a round of nothing": (round_bytes(lambda data: b""), "not a round of that key"),
    "a round of text": (round_bytes(lambda data: b"weights" * 100), "not a round of that key"),
    "a round that is a pickle": (round_bytes(lambda data: PICKLE), "not a round of that key"),
    "a pickle after the round": (round_bytes(lambda data: data + PICKLE), "not a round of that key"),
    "a header longer than the file": (
        round_bytes(lambda data: struct.pack("<Q", 2**40) + data[8:]),
        "not a round of that key",
    ),
    "a header of 2^64 bytes": (round_bytes(lambda data: b"\xff" * 8 + data[8:]), "not a round of that key"),
    "a header of no bytes": (round_bytes(lambda data: bytes(8) + data[8:]), "not a round of that key"),
    "a header that is not JSON": (round_bytes(lambda data: data[:8] + b"x" + data[9:]), "not a round of that key"),
    "a header nested too deeply": (
        round_bytes(lambda data: struct.pack("<Q", 100_000) + b"[" * 100_000),
        "not a round of that key",
    ),
    "a round cut short": (round_bytes(lambda data: data[:-1]), "not a round of that key"),
    "arrays over each other": (
        header(lambda facts: facts["final/dense1/bias"].update(data_offsets=facts["best/dense1/bias"]["data_offsets"])),
        "not a round of that key",
    ),
    "an array past the end": (
        header(lambda facts: facts["final/dense1/bias"].update(data_offsets=[10**12, 10**12 + 24])),
        "not a round of that key",
    ),
    "an array that ends before it begins": (
        header(lambda facts: facts["final/dense1/bias"].update(data_offsets=[24, 0])),
        "not a round of that key",
    ),
    "an array of 2^60 numbers": (
        header(lambda facts: facts["final/dense1/bias"].update(shape=[2**30, 2**30])),
        "not a round of that key",
    ),
    "an array of another type": (
        header(lambda facts: facts["mask/dense1/kernel"].update(dtype="I8")),
        "not a round of that key",
    ),
    "an array of a type that numpy has not": (
        header(lambda facts: facts["mask/dense1/kernel"].update(dtype="F8_E4M3")),
        "not a round of that key",
    ),
    "another digest": (
        header(lambda facts: facts["__metadata__"].update(digest="0" * 64)),
        "not a round of that key",
    ),
    "no facts": (header(lambda facts: facts.pop("__metadata__")), "not a round of that key"),
    "a round under another key": (renamed_round(f"rounds/{OTHER_KEY}.safetensors"), "a round that the events do not"),
    "a round that says another key": (
        resaved(lambda arrays, facts: facts.update(key=OTHER_KEY)),
        "not a round of that",
    ),
    "rounds that changed places": (swapped, "not a round of that key"),
    **{
        f"shapes {text[:30]}": (
            resaved(lambda arrays, facts, text=text: facts.update(shapes=text)),
            "not a round of that key",
        )
        for text in (
            "7",
            "[" * 50_000,
            '{"../x": [4, 6]}',
            '{"dense1/kernel": [4, 600], "output/kernel": [6, 2]}',
            '{"dense1/kernel": [-4, -6], "output/kernel": [6, 2]}',
            '{"dense1/kernel": [4.0, 6], "output/kernel": [6, 2]}',
            '{"dense1/kernel": "46", "output/kernel": [6, 2]}',
        )
    },
    "a round that memory cannot hold": (
        resaved(lambda arrays, facts: facts.update(shapes='{"dense1/kernel": [1000000000, 1000000000]}')),
        "bytes of memory to open",
    ),
    "masks of other shapes": (
        resaved(lambda arrays, facts: facts.update(shapes='{"dense1/kernel": [24], "output/kernel": [6, 2]}')),
        "a mask of bool (24,)",
    ),
    "a layer left out": (
        resaved(lambda arrays, facts: facts.update(shapes='{"dense1/kernel": [4, 6]}')),
        "masks of the layers dense1",
    ),
    "a rewind point of text": (
        resaved(lambda arrays, facts: facts.update(rewind_points='["7"]')),
        "not a round of that key",
    ),
    "a rewind point below 0": (
        resaved(
            lambda arrays, facts: (
                facts.update(rewind_points="[-7]"),
                arrays.update({name.replace("at7", "at-7"): array for name, array in list(arrays.items())}),
            )
        ),
        "a mark that is no iteration",
    ),
    "a curve of three columns": (
        resaved(lambda arrays, facts: arrays.update(curve=np.ones((2, 3)))),
        "not a round of that key",
    ),
    "a curve at no iteration": (
        resaved(lambda arrays, facts: arrays.update(curve=np.full((2, 4), np.nan))),
        "not a round of that key",
    ),
    "a curve that is infinite": (
        resaved(lambda arrays, facts: arrays.update(curve=np.array([[1, np.inf, 1, 1]]))),
        "a number inf",
    ),
    "a curve before the start": (
        resaved(lambda arrays, facts: arrays.update(curve=np.array([[-1.0, 1, 1, 1]]))),
        "an iteration below 0",
    ),
    "a result of text": (resaved(lambda arrays, facts: facts.update(result='"x"')), "not a round of that key"),
    "a result that is impossible": (
        resaved(lambda arrays, facts: facts.update(result=facts["result"].replace("0.875", "8.75"))),
        "test_accuracy 8.75",
    ),
    "a mask of numbers": (
        resaved(lambda arrays, facts: arrays.update({"mask/dense1/kernel": np.ones(3, np.float32)})),
        "not a round of that key",
    ),
    "a mask of no weights": (
        resaved(
            lambda arrays, facts: arrays.update(
                {"mask/dense1/kernel": np.zeros(3, np.uint8)}
                | {f"{part}/dense1/kernel": np.zeros(0, np.float32) for part in ("final", "best", "at7")}
            )
        ),
        "0 weights of 24",
    ),
    "more survivors than values": (
        resaved(lambda arrays, facts: arrays.update({"final/dense1/kernel": np.ones(1, np.float32)})),
        "not a round of that key",
    ),
    "a mask of another size": (
        resaved(
            lambda arrays, facts: (
                facts.update(shapes='{"dense1/kernel": [40, 60], "output/kernel": [6, 2]}'),
                arrays.update({"mask/dense1/kernel": np.full(300, 255, np.uint8)}),
                arrays.update(
                    {f"{part}/dense1/kernel": np.ones(2400, np.float32) for part in ("final", "best", "at7")}
                ),
            )
        ),
        "2400 weights of 2400",
    ),
    "weights of another type": (
        resaved(
            lambda arrays, facts: arrays.update({"at7/dense1/kernel": arrays["at7/dense1/kernel"].astype(np.float64)})
        ),
        "dense1/kernel of float64",
    ),
    "a bias of another shape": (
        resaved(lambda arrays, facts: arrays.update({"final/dense1/bias": np.ones((7,), np.float32)})),
        "weights of several shapes",
    ),
}
