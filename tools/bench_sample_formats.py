"""Compare libraries that store training samples: reading in random order, bytes, and going on in the middle of an epoch.

    pip install mosaicml-streaming litdata webdataset        # whichever shall be compared, best in an environment of its own
    python tools/bench_sample_formats.py [--samples 1000] [--kilobytes 35] [--out FILE]

A sample is a string of random bytes, so nothing here depends on compression or decoding. ``random`` and ``two`` are samples
a second of one process that reads a permutation, and of two that share it (one, where there is no access by row); ``cpu_ms``
is a sample's processor time in the first. ``resume_s`` is from opening to the first sample after half an epoch has been read
before, ``exact`` whether it was the one that an undisturbed epoch gives. ``import_s`` is of a fresh process. Formats take
turns; numbers are medians of the rounds. All files are in the system's file cache. ``zarr`` and ``zarr, direct`` are what
writes and what reads feature caches, with their checksums; no other format here checks what it reads. ``plain`` is one file
and a table of offsets.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from diffdrive.torchvision_ops import declare_missing_ops

Read = Callable[[Sequence[int]], list[bytes]]
BATCH = 32
SHARD = 64
SEED = 0


def order_of(count: int) -> list[int]:
    """One epoch."""
    return [int(row) for row in np.random.default_rng(SEED).permutation(count)]


def write_plain(samples: Sequence[bytes], folder: Path) -> None:
    (folder / "samples").write_bytes(b"".join(samples))
    np.save(folder / "ends.npy", np.cumsum([len(sample) for sample in samples]))


def open_plain(folder: Path) -> Read:
    ends = [0, *np.load(folder / "ends.npy").tolist()]
    file = os.open(folder / "samples", os.O_RDONLY)
    return lambda rows: [os.pread(file, ends[row + 1] - ends[row], ends[row]) for row in rows]


def write_arrow(samples: Sequence[bytes], folder: Path) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]

    schema = pa.schema([("sample", pa.large_binary())])
    with pa.OSFile(str(folder / "samples.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for first in range(0, len(samples), SHARD):
            writer.write_batch(pa.record_batch([pa.array(samples[first : first + SHARD], pa.large_binary())], schema=schema))


def open_arrow(folder: Path) -> Read:
    import pyarrow as pa

    table = pa.ipc.open_file(pa.memory_map(str(folder / "samples.arrow"))).read_all()
    return lambda rows: [table["sample"][row].as_py() for row in rows]


def write_zarr(samples: Sequence[bytes], folder: Path) -> None:
    from diffdrive.training.cache.shards import SHARD_SCENES, create_samples, open_samples, write_shard

    create_samples(folder, len(samples))
    array = open_samples(folder, writable=True)
    for shard, first in enumerate(range(0, len(samples), SHARD_SCENES)):
        write_shard(array, folder, shard, [(sample, b"", b"", b"") for sample in samples[first : first + SHARD_SCENES]])


def open_zarr(folder: Path) -> Read:
    from diffdrive.training.cache.shards import open_samples, read_rows

    array = open_samples(folder)
    return lambda rows: [blobs[0] for blobs in read_rows(array, np.asarray(rows))]


def open_direct(folder: Path) -> Read:
    from diffdrive.training.cache.shard_reader import ShardReader

    reader = ShardReader(folder)
    return lambda rows: [blobs[0] for blobs in reader.rows(np.asarray(rows))]


def write_mosaic(samples: Sequence[bytes], folder: Path) -> None:
    from streaming import MDSWriter  # type: ignore[import-not-found]

    with MDSWriter(out=str(folder / "mds"), columns={"sample": "bytes"}, hashes=["xxh64"]) as writer:
        for sample in samples:
            writer.write({"sample": sample})


def open_mosaic(folder: Path) -> Read:
    from streaming import LocalDataset

    found = LocalDataset(str(folder / "mds"))
    return lambda rows: [found[row]["sample"] for row in rows]


class Numbered:
    """Picklable: litdata writes what it is asked for by number."""

    def __init__(self, samples: Sequence[bytes]) -> None:
        self.samples = samples

    def __call__(self, row: int) -> dict[str, bytes]:
        return {"sample": self.samples[row]}


def write_litdata(samples: Sequence[bytes], folder: Path) -> None:
    import litdata  # type: ignore[import-not-found]

    litdata.optimize(Numbered(samples), list(range(len(samples))), str(folder / "lit"), chunk_bytes="8MB", num_workers=1)


def open_litdata(folder: Path) -> Read:
    import litdata

    found = litdata.StreamingDataset(str(folder / "lit"))
    return lambda rows: [found[row]["sample"] for row in rows]


def write_webdataset(samples: Sequence[bytes], folder: Path) -> None:
    import webdataset  # type: ignore[import-not-found]

    with webdataset.ShardWriter(str(folder / "s-%05d.tar"), maxcount=SHARD, verbose=0) as writer:
        for row, sample in enumerate(samples):
            writer.write({"__key__": f"{row:08d}", "bin": sample})


def webdataset_epoch(folder: Path) -> Iterator[bytes]:
    import webdataset

    files = sorted(str(path) for path in folder.glob("s-*.tar"))
    np.random.default_rng(SEED).shuffle(files)
    for sample in webdataset.WebDataset(files, shardshuffle=False).shuffle(500, seed=SEED):
        yield sample["bin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write samples and one to read them. Without ``open`` there is no access by row, only ``epoch``."""

    package: str | None
    modules: str
    write: Callable[[Sequence[bytes], Path], None]
    open: Callable[[Path], Read] | None = None
    epoch: Callable[[Path], Iterator[bytes]] | None = None


FORMATS = {
    "zarr": Format(package="zarr", modules="zarr", write=write_zarr, open=open_zarr),
    "zarr, direct": Format(package="zarr", modules="numcodecs, google_crc32c", write=write_zarr, open=open_direct),
    "mosaicml-streaming": Format(package="mosaicml-streaming", modules="streaming", write=write_mosaic, open=open_mosaic),
    "litdata": Format(package="litdata", modules="litdata", write=write_litdata, open=open_litdata),
    "webdataset": Format(package="webdataset", modules="webdataset", write=write_webdataset, epoch=webdataset_epoch),
    "arrow": Format(package="pyarrow", modules="pyarrow", write=write_arrow, open=open_arrow),
    "plain": Format(package=None, modules="json", write=write_plain, open=open_plain),
}


def epoch_of(name: str, folder: Path, count: int, first: int = 0) -> Iterator[bytes]:
    """The samples of an epoch from ``first`` on, as a loader would read them."""
    form = FORMATS[name]
    if form.open is None:
        if form.epoch is None:
            raise ValueError(name)
        # It cannot begin in the middle: what came before is read and thrown away.
        yield from islice(form.epoch(folder), first, None)
        return
    read, rows = form.open(folder), order_of(count)
    for start in range(first, count, BATCH):
        yield from read(rows[start : start + BATCH])


def read_share(name: str, folder: str, count: int, rank: int, of: int, pipe: Any) -> None:
    """A process of its own: opens, says so, waits, reads its share, tells when it began and ended."""
    declare_missing_ops()
    form, rows = FORMATS[name], order_of(count)[rank::of]
    read = form.open(Path(folder)) if form.open is not None else None
    if read is not None:
        read(rows[:2])
    pipe.send("ready")
    pipe.recv()
    begin, cpu = time.time(), time.process_time()
    if read is not None:
        for start in range(0, len(rows), BATCH):
            read(rows[start : start + BATCH])
    else:
        rows = [len(sample) for sample in epoch_of(name, Path(folder), count)]
    pipe.send((begin, time.time(), (time.process_time() - cpu) / len(rows), len(rows)))


def rate(name: str, folder: Path, count: int, processes: int) -> tuple[float, float]:
    """Samples a second of all processes together, and a sample's processor time in seconds."""
    context = multiprocessing.get_context("spawn")
    pipes, started = [], []
    for rank in range(processes):
        ours, theirs = context.Pipe()
        process = context.Process(target=read_share, args=(name, str(folder), count, rank, processes, theirs))
        process.start()
        pipes.append(ours)
        started.append(process)
    for pipe in pipes:
        pipe.recv()
    for pipe in pipes:
        pipe.send("go")
    spans = [pipe.recv() for pipe in pipes]
    for process in started:
        process.join()
    elapsed = max(end for _, end, _, _ in spans) - min(begin for begin, _, _, _ in spans)
    return sum(number for *_, number in spans) / elapsed, statistics.mean(cpu for _, _, cpu, _ in spans)


def resume(name: str, folder: Path, count: int) -> tuple[float, bool]:
    """Seconds to the first sample of the second half of an epoch, and whether it is the right one."""
    expected = next(islice(epoch_of(name, folder, count), count // 2, None))
    begin = time.perf_counter()
    found = next(epoch_of(name, folder, count, count // 2))
    return time.perf_counter() - begin, found == expected


def import_seconds(modules: str) -> float:
    """Of a process that imports nothing else (but torch and what makes torchvision importable, which training has anyway)."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\nfrom diffdrive.torchvision_ops import declare_missing_ops\n"
        f"declare_missing_ops()\nimport time; t = time.perf_counter()\nimport {modules}\nprint(time.perf_counter() - t)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1])


def needs(package: str | None) -> int:
    """How many packages the package asks for, without extras."""
    required = importlib.metadata.requires(package) if package is not None else None
    return len([line for line in required or () if "extra ==" not in line])


def measure(names: Sequence[str], samples: Sequence[bytes], folder: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """One row of numbers for each format."""
    payload, rows = sum(map(len, samples)), {}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for name in names:
        (folder / name).mkdir()
        begin = time.perf_counter()
        FORMATS[name].write(samples, folder / name)
        written = len(samples) / (time.perf_counter() - begin)
        size = sum(path.stat().st_size for path in (folder / name).rglob("*") if path.is_file())
        version = importlib.metadata.version(FORMATS[name].package or "numpy")
        rows[name] = {"version": version, "needs": needs(FORMATS[name].package), "written_per_s": round(written)}
        rows[name]["extra_bytes"] = round((size - payload) / len(samples))
    for _ in range(rounds):
        for name in names:
            one, cpu = rate(name, folder / name, len(samples), 1)
            two, _ = rate(name, folder / name, len(samples), 2 if FORMATS[name].open is not None else 1)
            resumed, exact = resume(name, folder / name, len(samples))
            values = {"random": one, "two": two, "cpu_ms": 1e3 * cpu, "resume_s": resumed, "exact": float(exact)}
            found[name].append(values | {"import_s": import_seconds(FORMATS[name].modules)})
    for name in names:
        medians = {key: statistics.median(values[key] for values in found[name]) for key in found[name][0]}
        rows[name] |= {key: float(f"{value:.3g}") for key, value in medians.items()}
    return rows


def main() -> None:
    """Print a table of the installed formats, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument(
        "--kilobytes", type=float, default=35.0, help="mean size of a sample; half to one and a half of it occur"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", nargs="+", choices=sorted(FORMATS), help="default: whichever are installed")
    parser.add_argument("--folder", type=Path, help="where the samples are written; default a temporary folder")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    declare_missing_ops()
    names = args.formats or [name for name, form in FORMATS.items() if importlib.util.find_spec(form.modules.split(",")[0])]
    rng = np.random.default_rng(SEED)
    samples = [rng.bytes(int(1e3 * args.kilobytes * rng.uniform(0.5, 1.5))) for _ in range(args.samples)]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        rows = measure(names, samples, Path(folder), args.rounds)
    for name, row in rows.items():
        print(f"{name:20}" + "".join(f"  {key} {value}" for key, value in row.items()))
    if args.out is not None:
        args.out.write_text(
            json.dumps({"samples": args.samples, "kilobytes": args.kilobytes, "formats": rows}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
