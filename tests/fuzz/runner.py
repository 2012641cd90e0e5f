"""A fuzzer: every reader gets damaged files, each in a process with bounds.

    python tests/fuzz/runner.py --count 2000

Right is: a file is read, or refused by a UserError that names it, or the folder of files that
contradict each other. Wrong is any other exception, a crash, more than 5 s of processor time, or
more than 1 GiB beside what the program has already. The inputs follow from the seed and their
numbers alone; those that went wrong are kept in --keep.
"""

import argparse
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

SECONDS, BYTES = 5, 2**30
_WALL = 60  # seconds without a word: on a loaded machine, 5 s of a processor may take long


class Finding(NamedTuple):
    """An input that went wrong."""

    reader: str
    number: int
    kind: str
    text: str


def damaged(name: str, files: Sequence[bytes], number: int, seed: int) -> tuple[int, bytes]:
    """Return which of a reader's files the input of a number damages, and its damaged form."""
    from mutations import mutated
    from readers import READERS

    rng = random.Random(f"{seed} {name} {number}")
    place = rng.randrange(len(files))
    return place, mutated(files[place], rng, READERS[name].is_text)


def findings(
    names: Sequence[str], count: int, seed: int, keep: Path | None = None
) -> list[Finding]:
    """Give each reader so many damaged files.

    Args:
        names: Of ``READERS``.
        count: Inputs of each.
        seed: Of the inputs.
        keep: Folder for those that went wrong.
    """
    found = []
    for name in names:
        begin = 0
        while begin < count:
            begin, fault = _process(name, begin, count, seed, found, keep)
            if fault:
                found.append(fault)
    return found


def _process(
    name: str, begin: int, count: int, seed: int, found: list[Finding], keep: Path | None
) -> tuple[int, Finding | None]:
    """Run inputs in a process of their own; return where to go on, and how it died if it did."""
    words = [sys.executable, __file__, "--child", name, "--begin", str(begin)]
    words += ["--count", str(count), "--seed", str(seed), *(["--keep", str(keep)] if keep else [])]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=errors, cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
        ) as child:  # fmt: skip
            number, kind = begin - 1, ""
            for line in _lines(child):
                if line is None:
                    kind = f"no word for {_WALL} s"
                    child.kill()
                    break
                content = json.loads(line)
                number = content["number"]
                if "kind" in content:
                    found.append(Finding(name, number, content["kind"], content["text"]))
        errors.seek(0)
        last = errors.read()[-400:].decode(errors="replace")
    if number < begin:
        raise RuntimeError(f"{name}: the whole files cannot be read: {last}")
    if kind or child.returncode:
        kind = kind or f"ended with {child.returncode}"
        return number + 1, Finding(name, number, kind, last)
    return count, None


def _lines(child: "subprocess.Popen[bytes]") -> Iterator[bytes | None]:
    """Yield the lines of a process; None if it is silent for too long."""
    assert child.stdout is not None
    rest = b""
    while True:
        if not select.select([child.stdout], [], [], _WALL)[0]:
            yield None
            return
        block = os.read(child.stdout.fileno(), 2**16)
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def _child(name: str, begin: int, count: int, seed: int, keep: Path | None) -> None:
    """Read damaged files in this process; tell before each, and after one that went wrong."""
    import logging
    import resource

    from readers import READERS

    logging.disable(logging.CRITICAL)
    tell = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    reader = READERS[name]
    whole = Path("whole").resolve()
    whole.mkdir()
    targets = [path.relative_to(whole) for path in reader.make(whole)]
    files = [(whole / target).read_bytes() for target in targets]
    folder = Path("damaged").resolve()
    _fresh(whole, folder)
    for target in targets:  # also imports what the reader needs, before memory is bounded
        reader.read(folder, folder / target)
    _bound_memory()
    for number in range(begin, count):
        tell.write(json.dumps({"number": number}) + "\n")
        tell.flush()
        place, content = damaged(name, files, number, seed)
        if reader.writes:
            _fresh(whole, folder)
        path = folder / targets[place]
        path.write_bytes(content)
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + SECONDS + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        kind, text = _outcome(reader, folder, path)
        path.write_bytes(files[place])
        if kind:
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name.replace(' ', '-')}-{number}{path.suffix}").write_bytes(content)
            tell.write(json.dumps({"number": number, "kind": kind, "text": text}) + "\n")
    tell.close()


def _fresh(whole: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)


def _bound_memory() -> None:
    import resource

    statistics = Path("/proc/self/statm")
    if statistics.is_file():  # Linux; elsewhere a process knows no such bound
        has = int(statistics.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + BYTES, resource.RLIM_INFINITY))


def _outcome(reader: Any, folder: Path, path: Path) -> tuple[str, str]:
    """Return what went wrong, with its place in the code; nothing if all is right."""
    from opengait_ext.errors import UserError

    try:
        reader.read(folder, path)
    except UserError as fault:
        told = str(fault)
        if path.name not in told and str(folder.parent) not in told:
            return "does not name the file", told[:400]
        if isinstance(fault.__cause__, MemoryError):
            return "more than 1 GiB", told[:400]
    except BaseException as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        where = [
            each
            for each in traceback.extract_tb(fault.__traceback__)
            if "opengait" in each.filename
        ] or [place]
        text = f"{Path(where[-1].filename).name}:{where[-1].lineno}: {str(fault)[:300]}"
        return type(fault).__name__, text
    return "", ""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="inputs of each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="only this one; repeatable")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that went wrong")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--begin", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    keep = options.keep.resolve() if options.keep else None
    if options.child:
        _child(options.child, options.begin, options.count, options.seed, keep)
        return 0
    from readers import READERS

    all_found = 0
    for name in options.reader or READERS:
        start = time.monotonic()
        found = findings([name], options.count, options.seed, keep)
        all_found += len(found)
        seconds = time.monotonic() - start
        sys.stdout.write(f"{name}: {options.count} inputs, {len(found)} wrong ({seconds:.0f} s)\n")
        for kind, text, number in sorted({(f.kind, f.text, f.number) for f in found})[:40]:
            sys.stdout.write(f"  {number}: {kind}: {ascii(text)[1:-1]}\n")
        sys.stdout.flush()
    return int(all_found > 0)


if __name__ == "__main__":
    sys.exit(main())
